"""The heads of each stage that a control is known to have, as truth.json beside its weights says."""

from __future__ import annotations

import re
from pathlib import Path

from harness.machine.files import read_json

TRUTH = "truth.json"

STAGES = {
    "retrieval": "id_retrieval",
    "selection": "id_selection",
    "features": "feature_retrieval",
}
"""What truth.json calls each stage, by the name that people type."""

WEAKENED = re.compile(rf"({'|'.join(STAGES)})=(0|1|0\.[0-9]{{0,3}}[1-9])")
"""A stage and the share of it that is left; each share is spelled in one way."""

Heads = list[tuple[int, int]]
"""Heads as (layer, head)."""


def read_known_heads(folder: Path | None) -> dict[str, Heads]:
    """Read the known heads of a control by stage, under the names of truth.json.

    Args:
        folder: Where the weights are; None for a repository.

    Returns:
        The heads; nothing for a folder without a truth.
    """
    path = folder and folder / TRUTH
    if not path or not path.is_file():
        return {}
    heads = read_json(path)["heads"]
    return {stage: [(layer, head) for layer, head in found] for stage, found in heads.items()}


def find_heads(folder: Path | None, stage: str) -> Heads:
    """Find the known heads of one stage; there are none where the truth has none, or none is written.

    Args:
        folder: Where the weights are; None for a repository.
        stage: A name of STAGES.
    """
    return read_known_heads(folder).get(STAGES[stage], [])
