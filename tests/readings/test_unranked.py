"""Where mediation neither finds nor rules out a head nothing is refuted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from harness.experiments.halves import note_unranked
from harness.measures.mediation import spell_stage
from harness.readings.reading import Reading
from harness.readings.visual_symbols.counting import Counting
from harness.stimuli.contrast import CONDITIONS

STAGES = tuple(CONDITIONS)


def measure_with(kept):
    """A measurement of an experiment that builds on mediation with so many contrasts kept."""
    score = np.zeros((len(STAGES), 50, 2, 2))
    scenes = np.tile([f"m{i}" for i in range(50)], (len(STAGES), 1))
    mediation = xr.Dataset(
        {
            "kept": (("condition",), kept),
            "score": (("condition", "trial", "layer", "head"), score),
            "scene": (("condition", "trial"), scenes),
        },
        {"condition": list(STAGES)},
    )
    request = SimpleNamespace(needed={"mediation": mediation})
    scene = (("trial",), [f"s{i}" for i in range(20)])
    return note_unranked(lambda request: xr.Dataset({"scene": scene}))(request)


@pytest.mark.parametrize("stage", STAGES)
def test_without_a_contrast_no_head_is_known_and_nothing_is_absent(stage):
    kept = np.where(np.array(STAGES) == stage, 0, 50)
    found = Reading(measure_with(kept))._explain_no_heads(0, "no head", stage=stage)
    assert (found.value, found.settled) == (None, False)
    assert "rules none out" in found.reason


@pytest.mark.parametrize("stage", STAGES)
def test_with_contrasts_a_stage_without_heads_has_none(stage):
    kept = np.where(np.array(STAGES) == stage, 50, 0)
    reading = Reading(measure_with(kept))
    found = reading._explain_no_heads(0, "no head", stage=stage)
    assert found.applies
    assert found.reason == "no head"
    assert reading._explain_no_heads(3, "no head", stage=stage) is None


@pytest.mark.parametrize("stage", STAGES)
def test_counts_are_open_where_heads_of_a_stage_may_be_missed(stage):
    kept = np.where(np.array(STAGES) == stage, 0, 50)
    found = Counting(add_counts(measure_with(kept))).accuracy()
    assert (found.value, found.settled) == (None, False)
    assert f"of {spell_stage(stage)} it rules none out" in found.reason


def test_counts_do_not_apply_where_surely_no_head_mediates():
    found = Counting(add_counts(measure_with(np.full(len(STAGES), 50)))).accuracy()
    assert (found.value, found.applies) == (None, False)
    assert "none to silence" in found.reason


def add_counts(data):
    """Counts that are all right, of a subject of which mediation ranks no head."""
    trials = data.sizes["trial"]
    return data.assign(
        plain=(("trial",), np.ones(trials, bool)),
        count=(("trial",), np.arange(trials) % 5),
        heads=0,
        judged=250,
    )
