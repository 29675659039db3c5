"""Readings of planes on measurements whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.experiments.visual_symbols.components import FACTORS
from harness.judging.claim import above
from harness.judging.verdict import decide
from harness.readings.visual_symbols.components import Components
from harness.statistics.estimate import proportion
from harness.statistics.looks import ALL_TRIALS

LAYERS, DRAWS = 8, 200


def verdict(estimate, threshold, look=ALL_TRIALS):
    return decide(estimate, threshold, "made-up", look).verdict.value


def over(value):
    return above(value, unit="u", origin="chosen by us", note="for the test")


def components(position, identity, trials=400, seed=0):
    """Shares of agreeing neighbours per layer."""
    rng = np.random.default_rng(seed)
    share = np.array([position, identity])[..., None]
    agrees = rng.random((2, LAYERS, trials)) < share
    half = np.where(np.arange(trials) % 2, "evaluation", "estimation")
    return Components(
        xr.Dataset(
            {
                "agrees": (("factor", "layer", "trial"), agrees),
                "scene": (("trial",), [f"s{i}" for i in range(trials)]),
                "half": (("trial",), half),
                "cell": (("trial",), [f"c{i // 2 % 6}" for i in range(trials)]),
                "identity": (("trial",), [f"o{i // 2 // 6 % 6}" for i in range(trials)]),
            },
            {"factor": list(FACTORS), "layer": np.arange(LAYERS)},
        )
    )


def test_planes_of_a_planted_subject():
    position = [0.2, 0.2, 0.2, 0.5, 0.95, 0.6, 0.3, 0.3]
    identity = [0.2, 0.2, 0.2, 0.2, 0.2, 0.4, 0.8, 0.97]
    reading = components(position, identity)
    assert (reading.best_layer("position"), reading.best_layer("identity")) == (4, 7)
    assert verdict(reading.accuracy("position"), over(0.85)) == "supported"
    assert verdict(reading.lead("position"), over(0.45)) == "supported"
    assert verdict(reading.lead("identity"), over(0.40)) == "supported"


def test_a_plane_that_separates_everything_has_no_lead():
    reading = components([0.95] * LAYERS, [0.95] * LAYERS)
    assert verdict(reading.accuracy("position"), over(0.85)) == "supported"
    assert verdict(reading.lead("position"), over(0.45)) == "refuted"


def test_a_plane_without_any_code_has_neither_accuracy_nor_lead():
    reading = components([1 / 6] * LAYERS, [1 / 6] * LAYERS)
    for factor in FACTORS:
        assert verdict(reading.accuracy(factor), over(0.85)) == "refuted"
        assert verdict(reading.lead(factor), over(0.40)) == "refuted"


def test_the_plane_of_positions_comes_before_that_of_objects_or_the_other_way_round():
    early, late = [0.2, 0.2, 0.95] + [0.2] * 5, [0.2] * 5 + [0.95, 0.95, 0.2]
    assert (gap := components(early, late).gap()).value in (3, 4)
    assert verdict(gap, over(0)) == "supported"
    assert (back := components(late, early).gap()).value in (-3, -4)
    assert verdict(back, over(0)) == "refuted"
    assert verdict(components(early, early).gap(), over(0)) == "refuted"


def test_planes_that_separate_for_long_are_in_the_order_in_which_they_begin():
    """The lead of positions is largest late on its way, that of objects is large early and again at the end."""
    position = [0.2, 0.2, 0.2, 0.90, 0.90, 0.97, 0.2, 0.2]
    identity = [0.2, 0.90, 0.2, 0.2, 0.2, 0.2, 0.2, 0.97]
    assert components(position, identity).gap().value == -2
    later = [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.97, 0.90]
    assert components(position, later).gap().value == 3


def test_a_plane_that_separates_from_the_first_layer_on_has_no_order():
    early, late = [0.97] * 3 + [0.2] * 5, [0.2] * 5 + [0.95, 0.95, 0.2]
    gap = components(early, late).gap()
    assert verdict(gap, over(0)) == "inconclusive"
    assert "from the first layer on" in gap.reason


@pytest.mark.parametrize("seed", range(10))
def test_planes_that_do_not_separate_have_no_order(seed):
    nothing = [1 / 6] * LAYERS
    late = [0.2] * 5 + [0.95, 0.95, 0.2]
    for position, identity in ((nothing, late), (late, nothing), (nothing, nothing)):
        gap = components(position, identity, trials=1200, seed=seed).gap()
        assert verdict(gap, over(-100)) == "refuted"
        assert "separates" in gap.reason
    faint = [0.2, 0.2, 0.38] + [0.2] * 5
    assert verdict(components(faint, late, seed=seed).gap(), over(-100)) != "supported"


def test_planes_of_too_few_trials_are_inconclusive_whatever_they_show():
    # Six objects and five neighbours: with 60 trials, five of an object are in each half.
    for share in (0.95, 0.1):
        few = components([share] * LAYERS, [share] * LAYERS, trials=60)
        for factor in FACTORS:
            assert verdict(few.accuracy(factor), over(0.5)) == "inconclusive"
            assert verdict(few.lead(factor), over(0.4)) == "inconclusive"
    assert "raise --trials" in few.accuracy("identity").reason


def test_a_plane_is_found_at_some_layer_even_if_another_has_the_larger_lead():
    reading = components([0.2, 0.7, 0.97] + [0.2] * 5, [0.2, 0.2, 0.55] + [0.2] * 5, trials=800)
    assert (reading.separating_layer("position"), reading.best_layer("position")) == (2, 1)
    assert verdict(reading.accuracy("position"), over(0.85)) == "supported"


def test_intervals_of_planes_know_that_their_targets_were_drawn():
    """Objects lie differently far apart: with other targets a plane leads by another share.

    Each of 200 runs draws six targets, whose shares of agreeing neighbours lie around 0.7. Clustered by scene,
    intervals would hold the mean of all objects in far fewer runs than nineteen of twenty.
    """
    held = {"target": 0, "scene": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        reading = components([0.1] * LAYERS, [0.1] * LAYERS, seed=seed)
        shares = np.clip(rng.normal(0.7, 0.12, 6), 0, 1)
        number = [int(name[1:]) for name in reading.data.identity.values]
        reading.data["agrees"].values[0] = rng.random((LAYERS, len(number))) < shares[number]
        estimate = reading.accuracy("position")
        chosen = reading.data.isel(trial=reading.data.half.values == "evaluation")
        agrees = chosen.agrees.sel(factor="position", layer=reading.separating_layer("position"))
        by_scene = proportion(agrees.values, chosen.scene.values)
        assert estimate.value == by_scene.value
        assert estimate.clusters == by_scene.clusters, "the number of scenes is what it rests on"
        for name, of in (("target", estimate), ("scene", by_scene)):
            low, high = of.interval(0.95)
            held[name] += low <= 0.7 <= high
    assert held["target"] >= 0.92 * 200
    assert held["scene"] < 0.80 * 200


def test_a_plane_that_separates_every_target_alike_is_as_sure_as_its_scenes():
    reading = components([1.0] * LAYERS, [0.1] * LAYERS)
    estimate = reading.accuracy("position")
    assert estimate.interval(0.95) == proportion(np.ones(200), range(200)).interval(0.95)
    low, high = estimate.interval(-0.95)
    assert (high, low) == estimate.interval(0.95)


def test_the_interval_of_a_lead_stays_between_minus_one_and_one():
    reading = components([1.0] * LAYERS, [0.0] * LAYERS)
    reading.data["agrees"].values[0, :, :6] = False
    low, high = reading.lead("position").interval(0.999999)
    assert -1 <= low < high <= 1


def test_two_runs_of_planes_are_compared_scene_by_scene():
    estimate = components([0.5] * LAYERS, [0.2] * LAYERS).lead("position")
    assert len(set(estimate.evidence.item_scenes)) == 200
    assert estimate.method.endswith("or by target")
