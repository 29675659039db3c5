"""Causes are found where they are planted, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from harness.experiments.catalogue import find_experiment
from harness.experiments.editing import average_scores
from harness.experiments.halves import list_ranked_scenes
from harness.experiments.visual_symbols.degrade import _draw_other_cells
from harness.experiments.visual_symbols.repair import _draw_wrong_cells
from harness.experiments.visual_symbols.through_selection import _find_enough
from harness.measuring.experiment import Request
from harness.readings.visual_symbols.blank import Blank
from harness.readings.visual_symbols.degrade import Degrade
from harness.readings.visual_symbols.repair import Repair
from harness.readings.visual_symbols.through_selection import ThroughSelection
from harness.stimuli.design import draw_entropy_trials
from harness.subjects.loading import load
from harness.subjects.registry import read_registry

DEGRADE, THROUGH, REPAIR, BLANK = map(
    find_experiment, ("degrade", "through_selection", "repair", "blank")
)


@pytest.fixture(scope="module")
def subjects():
    return {name: load(read_registry()[name]) for name in ("planted", "shortcut")}


@pytest.fixture(scope="module")
def mediation(subjects):
    measure = find_experiment("mediation").load_measure()
    return {n: measure(Request(s, 24, np.random.default_rng(5))) for n, s in subjects.items()}


@pytest.fixture(scope="module")
def measured(subjects, mediation):
    """An experiment's measurement of a control, made once."""
    found = {}

    def measure(experiment, name, trials=48, given=None):
        key = (experiment.name, name, given is None)
        if key not in found:
            needed = {"mediation": mediation[name] if given is None else given}
            request = Request(subjects[name], trials, np.random.default_rng(7), needed=needed)
            found[key] = experiment.load_measure()(request)
        return found[key]

    return measure


@pytest.fixture(scope="module")
def unranked(mediation):
    """What mediation finds in a subject that answers no contrast right."""
    nothing = mediation["planted"].copy(deep=True)
    nothing.kept[:] = 0
    nothing.score[:] = np.nan
    assert not average_scores(nothing, "id_selection").any()
    return nothing


@pytest.mark.deep
def test_degraded_ids_make_the_errors_that_they_point_to(measured):
    read = Degrade(measured(DEGRADE, "planted"))
    assert read.errors().interval(0.95)[0] > 0.3
    for control in ("random direction", "other heads"):
        assert read.follows(control).interval(0.95)[0] > 0.5
    curve = read.data.follows.sel(edit="other cell").mean("trial").values
    assert (np.diff(curve) > 0).all()
    assert read.smallest_step().interval(0.95)[0] > -0.05


def test_nothing_is_degraded_where_no_id_is_used(measured):
    read = Degrade(measured(DEGRADE, "shortcut"))
    for estimate in (read.errors(), read.follows("other heads"), read.smallest_step()):
        assert (estimate.value, estimate.settled) == (None, True)
        assert "no head selects an ID" in estimate.reason


def test_a_step_of_nothing_changes_no_answer(measured):
    found = measured(DEGRADE, "planted").sel(step=0.0)
    for edit in ("random direction", "other heads"):
        assert (
            found.right.sel(edit=edit).values == found.right.sel(edit="other cell").values
        ).all()


def test_retrieval_acts_through_selection_where_that_is_planted(measured):
    read = ThroughSelection(measured(THROUGH, "planted"))
    assert read.left().interval(0.95)[1] < 0.1
    assert read.spared().interval(0.95)[0] > 0.9


def test_where_retrieval_moves_nothing_there_is_no_chain(measured):
    read = ThroughSelection(measured(THROUGH, "shortcut"))
    assert not read.left().applies
    assert not read.spared().applies


def test_no_scene_that_ranked_heads_is_judged(measured, mediation):
    ranked = list_ranked_scenes(mediation["planted"])
    assert not ranked & set(measured(THROUGH, "planted").scene.values.tolist())


@pytest.mark.deep
def test_the_id_of_a_wrong_position_leads_to_what_is_there(measured):
    read = Repair(measured(REPAIR, "planted"))
    assert read.harm().interval(0.95)[0] > 0.3
    assert read.misled().interval(0.95)[0] > 0.3


def test_damage_alone_does_not_mislead(measured):
    """Under a random vector some answers become wrong, and hardly any becomes the wrong position's object."""
    follows = measured(REPAIR, "planted").follows.mean("trial")
    assert follows.sel(edit="random vector") < 0.25 < follows.sel(edit="wrong position")


def test_wrong_positions_show_another_color(subjects):
    trials = draw_entropy_trials(subjects["planted"].grids[3], "low", 30, np.random.default_rng(1))
    cells = _draw_wrong_cells(trials, np.random.default_rng(2))
    for trial, number in zip(trials, cells, strict=True):
        assert trial.scene.at(trial.scene.grid.cells[number]).color != trial.target.color


@pytest.mark.deep
def test_nothing_is_claimed_of_a_subject_in_which_no_head_is_ranked(measured, unranked):
    degraded = Degrade(measured(DEGRADE, "planted", given=unranked))
    chain = ThroughSelection(measured(THROUGH, "planted", given=unranked))
    repaired = Repair(measured(REPAIR, "planted", given=unranked))
    for estimate in (
        degraded.errors(),
        degraded.follows("other heads"),
        degraded.smallest_step(),
        chain.left(),
        chain.spared(),
        repaired.harm(),
        repaired.misled(),
    ):
        assert estimate.value is None


@pytest.mark.parametrize("name", ["planted", "shortcut"])
def test_a_blank_image_is_not_answered_by_elimination(measured, name):
    read = Blank(measured(BLANK, name))
    assert read.accuracy("own").value > 0.7
    assert read.without_image().interval(0.95)[1] < 0.2


def test_the_fewest_heads_that_nearly_reach_the_largest_effect_are_taken():
    assert _find_enough(np.array([0.1, 0.97, 0.99, 1.0])) == 1
    assert _find_enough(np.array([0.5, 0.9, 0.7])) == 1
    assert _find_enough(np.array([-3.0, -1.0, -2.0])) == 1


def test_ids_are_mixed_in_only_of_other_cells_whose_id_is_known():
    cells = np.arange(9).repeat(5)
    found = _draw_other_cells(cells, np.array([1, 4, 7]), np.random.default_rng(0))
    assert set(found.tolist()) == {1, 4, 7}
    assert (found != cells).all()
    assert (_draw_other_cells(cells, cells[:0], np.random.default_rng(0)) != cells).all()
