"""Evidence behind estimates, kept in files so that two runs can be compared scene by scene.

An interval alone says how far a run may be from the truth. Two runs on the same scenes err together, and only
the values of each scene tell how little they may differ.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from harness.judging.claim import Pair
from harness.machine.files import write_bytes
from harness.statistics.evidence import Evidence
from harness.statistics.head_scores import HeadScores

SCHEMA = 1

DIGITS = 6
"""Significant digits that are kept; more would make files longer and tell nothing."""

_Key = TypeVar("_Key")
_Found = TypeVar("_Found")


SubjectStage: TypeAlias = tuple[str, str]
"""A subject and a stage, named by its condition, such as "id_retrieval"."""


def save_evidence(
    path: Path,
    evidence: Mapping[Pair, Evidence],
    heads: Mapping[SubjectStage, HeadScores] | None = None,
) -> str:
    """Write the evidence of a run as compressed JSON; the same evidence gives the same bytes.

    Args:
        path: The file.
        evidence: By (claim, subject).
        heads: Scores of all heads by (subject, stage). They stand here and not in the scorecard's file, so that
            the digest binds them, and since a large model has some thousands of them.

    Returns:
        SHA-256 of the file, in hexadecimal digits, by which a scorecard knows its own evidence.

    Raises:
        OSError: The disk refuses; an old file is untouched.
    """
    # Scenes recur from claim to claim, so each name is written once.
    names = {
        s: i for i, s in enumerate(sorted({s for e in evidence.values() for s in e.scenes or ()}))
    }
    rows = [
        {
            "claim": claim,
            "subject": subject,
            "values": [float(f"{v:.{DIGITS}g}") for v in found.values],
            "scenes": None if found.scenes is None else [names[s] for s in found.scenes],
        }
        for (claim, subject), found in sorted(evidence.items())
    ]
    content: dict[str, Any] = {"schema": SCHEMA, "scenes": list(names), "evidence": rows}
    if heads:
        content["heads"] = [
            {"subject": subject, "stage": stage, **found.to_json()}
            for (subject, stage), found in sorted(heads.items())
        ]
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    packed = gzip.compress(text.encode(), mtime=0)
    write_bytes(path, packed)
    return hashlib.sha256(packed).hexdigest()


def load_evidence(path: Path) -> dict[Pair, Evidence]:
    """Read the evidence that `save_evidence` wrote, by (claim, subject); empty if there is no such file.

    Raises:
        ValueError: The file is damaged or of another schema; the message names it.
    """
    return _read(path, lambda c: dict(_parse_row(row, c["scenes"]) for row in c["evidence"]))


def load_heads(path: Path) -> dict[SubjectStage, HeadScores]:
    """Read the scores of heads that `save_evidence` wrote, by (subject, stage); empty if there are none.

    Raises:
        ValueError: The file is damaged or of another schema; the message names it.
    """
    return _read(
        path,
        lambda c: {
            (row["subject"], row["stage"]): HeadScores.from_json(row) for row in c.get("heads", ())
        },
    )


def _read(path: Path, parse: Callable[[dict[str, Any]], dict[_Key, _Found]]) -> dict[_Key, _Found]:
    """What is found in a file of evidence; nothing if there is no such file."""
    if not path.exists():
        return {}
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}; this version reads schema {SCHEMA}")
        return parse(content)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"{path} is not the evidence of a run ({error}): copy it again together with its scorecard, or "
            "make the run again"
        ) from error


def load_folder_evidence(folder: Path) -> dict[Pair, Evidence]:
    """Read the evidence of all records in a folder, by (claim, subject)."""
    found: dict[Pair, Evidence] = {}
    for path in sorted(folder.glob("*.evidence.gz")):
        found |= load_evidence(path)
    return found


def _parse_row(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Pair, Evidence]:
    scenes = None if row["scenes"] is None else tuple(names[i] for i in row["scenes"])
    return (row["claim"], row["subject"]), Evidence(np.array(row["values"], float), scenes)
