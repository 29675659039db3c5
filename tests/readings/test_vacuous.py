"""Where an edit moves nothing, no claim about what it does not do is supported."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.experiments.rivals import tabulate_rivals
from harness.judging.claim import above, below
from harness.judging.verdict import decide
from harness.readings.exchange import compare_with_controls
from harness.readings.visual_symbols.reuse import Reuse
from harness.readings.visual_symbols.transplant import Transplant

TRIALS = 96
SCENES = np.arange(TRIALS).astype(str)
FEW = below(0.10, unit="share", origin="chosen by us", note="for the test")
NO_LOSS = above(-0.02, unit="share", origin="chosen by us", note="for the test")


def verdict(estimate, threshold):
    return decide(estimate, threshold, "made-up").verdict.value


def transplant(before, after):
    """Of answers to recipients whose candidates are red and blue, without a transplant and with two numbers."""
    said = np.array([before, before, after])
    colors = {"relative": ["red"] * TRIALS, "absolute": ["blue"] * TRIALS}
    part = np.where(np.arange(TRIALS) % 2, "evaluation", "estimation")
    names = np.stack([said == "red", said == "blue"])
    return Transplant(
        xr.Dataset(
            {
                "names": (("candidate", "k", "trial"), names),
                "scene": (("trial",), SCENES),
                "part": (("trial",), part),
                "asked_part": (("asked",), part),
                **tabulate_rivals(said, ("k", [0, 1, 4]), [colors | {"nothing": before}], SCENES),
            },
            {"candidate": list(colors)},
        )
    )


HALVES = np.array(["red", "blue"] * (TRIALS // 2))[np.random.default_rng(0).permutation(TRIALS)]
GREEN = np.full(TRIALS, "green")


@pytest.mark.parametrize("before", [GREEN, np.full(TRIALS, "red")], ids=["neither", "relative"])
def test_a_transplant_that_moves_nothing_does_not_tell_that_ids_are_not_absolute(before):
    found = transplant(before, before)
    assert verdict(found.share("absolute"), FEW) == "supported"
    assert verdict(found.share_if_moved("absolute"), FEW) == "not_applicable"
    assert verdict(found.lead_over_rivals(), NO_LOSS) != "supported"


def test_answers_that_were_relative_without_a_transplant_do_not_support_relative_ids():
    always, half = (
        np.full(TRIALS, "red"),
        above(0.45, unit="u", origin="chosen by us", note="LLaVA"),
    )
    for before in (always, HALVES, np.where(np.arange(TRIALS) % 4 == 0, "blue", "red")):
        still = transplant(before, before)
        assert verdict(still.share_if_moved("relative"), half) == "refuted"
        assert verdict(still.share_if_moved("absolute"), FEW) == "not_applicable"
    assert verdict(transplant(HALVES, always).share_if_moved("relative"), half) == "supported"


def test_a_transplant_that_breaks_the_subject_does_not_tell_it_either():
    assert verdict(transplant(HALVES, GREEN).share_if_moved("absolute"), FEW) == "not_applicable"


def test_a_transplant_that_points_within_the_group_tells_it():
    found = transplant(HALVES, np.full(TRIALS, "red"))
    assert found.heads == 4
    assert verdict(found.share_if_moved("absolute"), FEW) == "supported"
    assert found.lead_over_rivals().interval(0.95)[0] > 0.7


def test_a_transplant_that_points_into_the_image_refutes_it():
    found = transplant(HALVES, np.full(TRIALS, "blue"))
    assert verdict(found.share_if_moved("absolute"), FEW) == "refuted"
    assert found.best_rival() == "absolute"


def reuse(before, after, pulled):
    relations = np.array(["left", "right", "above", "below"] * (TRIALS // 4))
    return Reuse(
        xr.Dataset(
            {
                "before": (("trial",), before),
                "after": (("trial",), after),
                "pulled": (("trial",), pulled),
                "unpulled": (("trial",), np.zeros(TRIALS, bool)),
                "relation": (("trial",), relations),
                "scene": (("trial",), SCENES),
                "heads": 2,
            }
        )
    )


def test_that_no_relation_suffers_says_nothing_where_no_id_moves_an_answer():
    half, none = np.arange(TRIALS) % 8 < 4, np.zeros(TRIALS, bool)
    assert verdict(reuse(half, half, none).worst(), NO_LOSS) == "not_applicable"
    assert verdict(reuse(none, none, none).worst(), NO_LOSS) == "not_applicable"


def test_that_no_relation_suffers_is_told_by_a_gain_a_loss_or_a_pull():
    half, none = np.arange(TRIALS) % 8 < 4, np.zeros(TRIALS, bool)
    assert verdict(reuse(half, ~none, none).worst(), NO_LOSS) == "supported"
    assert verdict(reuse(half, none, none).worst(), NO_LOSS) == "refuted"
    # In 24 trials of each relation nothing changed, which does not tell a loss of two points from none.
    assert verdict(reuse(half, half, ~none).worst(), NO_LOSS) == "inconclusive"


def test_an_edit_that_moves_nothing_is_not_specific():
    still, sides = np.zeros(40, bool), np.arange(40) % 2
    found = compare_with_controls(
        still, drawn=still, fixed=still, sides=sides, scenes=np.arange(40).astype(str)
    )
    specific = above(0.4, unit="share", origin="chosen by us", note="for the test")
    assert verdict(found, specific) == "refuted"
