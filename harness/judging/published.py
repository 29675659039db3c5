"""The papers' own figures as numbers, to compare a subject with.

The files under `fixtures/published/` say for each table which figures it was read off and how well
its values are known. They are for comparison: a threshold stands in its claim, with its origin.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from harness.judging.claim import find_of_subject
from harness.machine.files import FIXTURES

_FOLDER = FIXTURES / "published"


@dataclass(frozen=True, slots=True)
class Peak:
    """Layer and height of a curve's maximum; the height is given with one digit more than the curve."""

    layer: int
    r: float
    remark: str = ""


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """A query head, with its mean mediation score as a share of the highest in its panel."""

    layer: int
    head: int
    share: float


@dataclass(frozen=True)
class Published:
    """The numbers that one paper prints about its models: curves, peaks and heads, or single values.

    Every lookup gives None for a subject, or a part of it, that the paper does not show. A pair or
    stage that it shows for no subject at all is a mistake in the caller and raises ValueError.

    Attributes:
        name: The name of the file without its ending.
        paper: The paper's title, authors, arxiv, version and date.
    """

    name: str
    paper: Mapping[str, Any]
    _tables: Mapping[str, Any] = field(repr=False)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject with a curve or a list of heads, in the file's order."""
        return tuple(dict.fromkeys(s for t in self._tables.values() for s in t["subjects"]))

    def curve(self, subject: str, pair: str) -> tuple[float, ...] | None:
        """RSA r (Pearson) after each layer, layer 0 first.

        Args:
            subject: As in the registry of subjects.
            pair: "position@mentions", "position@last", "features@last" (Figures 1c, 14-19); or,
                with blocks of four objects in a larger grid, "relative@last", "absolute@last" and
                "block_features@last" (Figures 2, 26-28).
        """
        found = self._find("curves", subject, pair)
        return None if found is None else tuple(found["r"])

    def peak(self, subject: str, pair: str) -> Peak | None:
        """Where the curve of a pair is highest, and how high; pairs as in `curve`."""
        found = self._find("peaks", subject, pair)
        return None if found is None else Peak(**found)

    def heads(self, subject: str, stage: str) -> tuple[PublishedHead, ...] | None:
        """The strongest heads of a stage, strongest first.

        Args:
            subject: As in the registry of subjects.
            stage: "id_retrieval", "id_selection" or "feature_retrieval".
        """
        found = self._find("heads", subject, stage)
        return None if found is None else tuple(PublishedHead(**head) for head in found)

    def maximum(self, subject: str, stage: str) -> float | None:
        """The highest mean mediation score of a stage, in logits; stages as in `heads`."""
        return self._find("maxima", subject, stage)

    def peaks(self, pair: str) -> dict[str, float]:
        """Height of the peak of a pair for every subject that the paper shows."""
        found = {s: self.peak(s, pair) for s in self.subjects}
        return {s: peak.r for s, peak in found.items() if peak is not None}

    def leads(self, pair: str, other: str) -> dict[str, float]:
        """Height of the peak of one pair less that of another, for every subject that has both."""
        ours, theirs = self.peaks(pair), self.peaks(other)
        return {s: round(r - theirs[s], 3) for s, r in ours.items() if s in theirs}

    def maxima(self, stage: str) -> dict[str, float]:
        """Highest mean score of a stage, in logits, for every subject that the paper shows."""
        found = {s: self.maximum(s, stage) for s in self.subjects}
        return {s: score for s, score in found.items() if score is not None}

    def median_layer(self, subject: str, stage: str) -> float | None:
        """Median layer of the ten strongest heads of a stage; stages as in `heads`."""
        return self._find("median_layers", subject, stage)

    def values(self, what: str) -> dict[str, float]:
        """One number of the table "values" for every subject that the paper gives it for."""
        found = {s: self._find("values", s, what) for s in self.subjects}
        return {s: value for s, value in found.items() if value is not None}

    def marked(self, table: str) -> str:
        """How the values of a table were obtained, and how exact they are.

        Args:
            table: "curves", "peaks", "heads", "maxima", "median_layers" or "values".
        """
        return self._tables[table]["marked"]

    def _find(self, table: str, subject: str, part: str) -> Any:
        subjects = self._tables[table]["subjects"]
        known = sorted({name for parts in subjects.values() for name in parts} - {"figure"})
        if part not in known:
            there = ", ".join(known)
            raise ValueError(f"{self.name} has no {table} named {part!r}; it has {there}")
        return find_of_subject(subjects, subject, {}).get(part)


@cache
def load(name: str = "assouel2026") -> Published:
    """Read one paper's published figures.

    Raises:
        FileNotFoundError: No such paper; the message names those there are.
    """
    path = _FOLDER / f"{name}.toml"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.toml"))) or "none"
        raise FileNotFoundError(f"no published figures {path}; there are: {there}")
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return Published(name, MappingProxyType(tables.pop("paper")), tables)
