"""The verdict that every claim must give on every control, with a reason for each, as a table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from harness.judging.verdict import Verdict
from harness.machine.files import FIXTURES

TABLE = FIXTURES / "controls.toml"

KEYS = {"controls", "claims", "verdict", "also", "reason"}
"""Of a group of cells that share a verdict and its reason."""


class Expected(NamedTuple):
    """The verdict that a control must get, and why.

    Attributes:
        verdict: With the seed that every scorecard has.
        reason: Why.
        also: Verdicts that other seeds of trials may give instead, since an estimate is near its threshold.
    """

    verdict: Verdict
    reason: str
    also: frozenset[Verdict] = frozenset()


@lru_cache(maxsize=4)
def read_expected(path: Path = TABLE) -> Mapping[tuple[str, str], Expected]:
    """Read every cell of the table, by (claim, control).

    The file gives each reason once, for all claims and controls that share it.

    Raises:
        ValueError: A cell stands in the table twice, has no reason or an unknown verdict, or a key is missing
            or unknown; the message names it.
    """
    cells: dict[tuple[str, str], Expected] = {}
    try:
        groups = tomllib.loads(path.read_text())["cells"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise ValueError(f"{path} is not a table of cells: {error}") from None
    for number, group in enumerate(groups, 1):
        try:
            names, claims = group["controls"], group["claims"]
            if isinstance(names, str) or isinstance(claims, str):
                raise ValueError("controls and claims are lists of names")
            if unknown := sorted(group.keys() - KEYS):
                raise ValueError(f"unknown key {unknown[0]!r}")
            also = frozenset(map(Verdict, group.get("also", ())))
            found = Expected(Verdict(group["verdict"]), group["reason"].strip(), also)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}: group {number}: {error}") from None
        if not found.reason:
            raise ValueError(f"{path}: group {number} has no reason")
        for pair in ((claim, name) for claim in claims for name in names):
            if pair in cells:
                raise ValueError(f"{path}: {pair[0]} on {pair[1]} stands there twice")
            cells[pair] = found
    return MappingProxyType(cells)
