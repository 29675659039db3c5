"""The baselines that ship with the project."""

from __future__ import annotations

import pytest

from harness.measuring.code import hash_stimuli
from harness.reporting.sides import load_side
from harness.runs.baselines import BASELINES


@pytest.mark.parametrize("path", sorted(BASELINES.glob("*.json")), ids=lambda path: path.stem)
def test_committed_baselines_are_of_the_scenes_that_are_drawn_today(path):
    """Else `--baseline` refuses every comparison: `pytest claims --scorecard out`, then `claims bless out`."""
    assert load_side(path).card.run.stimuli == hash_stimuli()
