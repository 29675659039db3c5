"""What experiments read off their trials: halves, targets, and curves over some of the trials."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.experiments.correlating import Comparison
from harness.experiments.halves import HALF_NAMES, Halves, list_ranked_scenes, list_scenes
from harness.experiments.targets import compare_targets, list_colors, locate_target, number_cells
from harness.measures.similarity import cosine_rsm, rsa
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import EMBEDDED_GRIDS


@pytest.fixture
def trials() -> list[Trial]:
    rng = np.random.default_rng(0)
    return draw_balanced_trials(EMBEDDED_GRIDS[2], HIGH_ENTROPY[2], 60, rng)


def test_trials_about_one_scene_are_all_in_one_half(trials):
    halves = Halves.deal(list_scenes(trials), np.random.default_rng(1))
    first, second = halves.split(trials)
    assert len(first) + len(second) == len(trials)
    assert not {t.scene.key for t in first} & {t.scene.key for t in second}
    assert [
        t for t, half in zip(trials, halves.names, strict=True) if half == HALF_NAMES[0]
    ] == first
    assert (halves.first != halves.second).all()


def test_the_scenes_that_ranked_heads_are_those_of_both_sides_and_of_the_stages_asked_for():
    sides = {
        "scene": (("condition", "trial"), [["a", "b"], ["c", "c"], ["d", ""]]),
        "counterfactual_scene": (("condition", "trial"), [["e", "a"], ["f", "g"], ["h", ""]]),
    }
    mediation = xr.Dataset(sides, {"condition": list(CONDITIONS)})
    assert list_ranked_scenes(mediation) == set("abcdefgh")
    assert list_ranked_scenes(mediation, ["id_retrieval"]) == set("abe")
    assert list_ranked_scenes(mediation, ["feature_retrieval"]) == set("dh")


def test_the_color_in_the_targets_cell_is_the_targets(trials):
    cells = number_cells(trials)
    assert [trials[0].scene.grid.cells[n] for n in cells] == [locate_target(t) for t in trials]
    assert list_colors(trials, cells) == [t.target.color for t in trials]


def test_an_empty_cell_has_no_color():
    rng = np.random.default_rng(0)
    grid = EMBEDDED_GRIDS[2]
    three = draw_balanced_trials(grid, HIGH_ENTROPY[3], 1, rng, cells=grid.cells[:3])
    with pytest.raises(ValueError, match="is empty"):
        list_colors(three, np.array([3]))


def test_a_comparison_of_some_trials_is_that_of_their_pairs(trials):
    states = np.random.default_rng(0).normal(size=(3, 1, len(trials), 8))
    scenes = list_scenes(trials)
    members = np.arange(len(trials)) % 3 > 0
    found = Comparison(cosine_rsm(states), compare_targets(trials), scenes).select(members)
    kept = [t for t, member in zip(trials, members, strict=True) if member]
    for r, layer in zip(found.correlate(), states, strict=True):
        expected = rsa(cosine_rsm(layer[:, members]), compare_targets(kept), None, scenes[members])
        assert r == pytest.approx(expected)
