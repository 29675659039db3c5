"""The simulated situations are those in which claims are judged."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from harness.calibration import coverage as room
from harness.experiments.catalogue import BEHAVIOUR, MEDIATION, find_experiment
from harness.experiments.random_heads import DRAWS
from harness.experiments.visual_symbols.behaviour import draw_sets
from harness.statistics import estimate as stats
from harness.stimuli.scene import EMBEDDED_GRIDS


def test_behaviour_has_as_many_trials_about_each_scene():
    shown = SimpleNamespace(grids=EMBEDDED_GRIDS)
    sets = draw_sets(shown, BEHAVIOUR.trials, np.random.default_rng(0)).values()
    simulated = (room.TWO_OBJECTS, room.FOUR_OBJECTS, room.SIX_OBJECTS)
    for drawn, sizes in zip(sets, simulated, strict=True):
        assert sorted(Counter(t.scene.key for t in drawn).values()) == sizes


@pytest.mark.parametrize(
    ("sizes", "trials"),
    [
        (room.STEERING_HALF, find_experiment("steering").trials // 2),
        (room.ENTROPY_SET, find_experiment("entropy").trials),
        (room.REUSE, find_experiment("reuse").trials),
        (room.COUNTING_SETS, find_experiment("counting").trials),
        (room.LISTING_SETS, find_experiment("listing").trials // 4),
        (room.PLANE_HALF, find_experiment("components").trials // 2),
        (room.MEDIATION_HALF, MEDIATION.trials // 2),
        (room.MEDIATION_WHOLE, MEDIATION.trials),
        (room.SIMILARITY_HALF, find_experiment("similarity").trials // 2),
    ],
)
def test_halves_have_as_many_trials(sizes, trials):
    assert sum(sizes) == trials


def test_comparisons_with_random_heads_have_as_many_draws():
    assert len(room.COUNTING_SETS) == len(room.LISTING_SETS) == DRAWS


def test_every_estimator_is_there_with_few_scenes_too():
    kinds = {name.split(",")[0] for name in room.SITUATIONS}
    assert kinds == {"proportion", "mean", "difference", "fall", "parts", "bootstrap"}
    assert {n.split(",")[0] for n in room.SITUATIONS if "12 scenes" in n} == kinds


def test_coverage_names_every_situation_and_says_each(monkeypatch):
    lines = []
    found = room.coverage(20, say=lines.append)
    assert list(found) == list(room.SITUATIONS)
    assert len(lines) == len(found)
    assert found == room.coverage(20)
    assert found != room.coverage(20, seed=1)


def test_a_simulated_situation_gives_the_same_alone_and_among_others(monkeypatch):
    name = list(room.SITUATIONS)[-1]
    alone = {name: room.SITUATIONS[name]}
    expected = room.coverage(50)[name]
    monkeypatch.setattr(room, "SITUATIONS", alone)
    assert room.coverage(50) == {name: expected}


def test_intervals_that_always_or_never_hold_the_truth():
    name = "mean, 12 single trials"
    draw, sizes = room.SITUATIONS[name].draw, room.SITUATIONS[name].sizes
    for bounds, share in (((-9, 9), 1.0), ((8, 9), 0.0)):

        def fixed(items, scenes, rng, bounds=bounds):
            return (stats.Estimate(0, lambda level: bounds, 12, 12, "by hand") for _ in items)

        situation = room.Situation(draw, sizes, fixed, 0)
        assert room.share_covered(situation, 30, np.random.default_rng(0)) == share
