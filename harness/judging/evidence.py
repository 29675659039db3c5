"""Evidence behind estimates, kept in files so that two runs can be compared scene by scene.

An interval alone says how far a run may be from the truth. Two runs on the same scenes err together, and only
the values of each scene tell how little they may differ.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.judging.claim import Pair
from harness.machine.files import write_bytes
from harness.statistics.evidence import Evidence

SCHEMA = 1

DIGITS = 6
"""Significant digits that are kept; more would make files longer and tell nothing."""


def save_evidence(path: Path, evidence: Mapping[Pair, Evidence]) -> str:
    """Write the evidence of a run as compressed JSON; the same evidence gives the same bytes.

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
    content = {"schema": SCHEMA, "scenes": list(names), "evidence": rows}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    packed = gzip.compress(text.encode(), mtime=0)
    write_bytes(path, packed)
    return hashlib.sha256(packed).hexdigest()


def load_evidence(path: Path) -> dict[Pair, Evidence]:
    """Read the evidence that `save_evidence` wrote, by (claim, subject); empty if there is no such file.

    Raises:
        ValueError: The file is damaged or of another schema; the message names it.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}; this version reads schema {SCHEMA}")
        return dict(_parse_row(row, content["scenes"]) for row in content["evidence"])
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
