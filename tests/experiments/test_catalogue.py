"""All experiments together."""

from __future__ import annotations

import importlib
from dataclasses import fields, replace

import pytest

from harness.experiments.catalogue import (
    BEHAVIOUR,
    DRAFTS,
    EXPERIMENTS,
    READINESS,
    SPELLING,
    check_catalogue,
    find_gate,
)
from harness.machine.files import ROOT
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.readings.reading import Reading
from harness.runs.options import Options
from harness.statistics.looks import ALL_TRIALS, AUTO, Look
from harness.subjects.registry import read_registry
from harness.suite.judge import choose_look

EMBEDDED, PAPER = (read_registry()[name] for name in ("tiny-llava", "llava-1.5-7b"))
JUDGED = [e for e in (*EXPERIMENTS, *DRAFTS) if not e.settles]
"""All but the one that only finds out how a subject writes answers, which is no paper's and no claim's."""


def test_how_a_subject_writes_is_found_out_before_any_other_experiment():
    assert [e for e in EXPERIMENTS if e.settles] == [SPELLING]
    assert all(e.needs[0] is SPELLING for e in JUDGED)
    assert callable(SPELLING.load_measure())


def test_experiments_that_others_need_always_use_all_trials():
    rested_on = {BEHAVIOUR, READINESS} | {e for other in EXPERIMENTS for e in other.needs}
    assert {e.name for e in EXPERIMENTS if not e.looks} == {e.name for e in rested_on}


def test_every_file_of_an_experiment_has_a_line_in_the_catalogue():
    listed = {e.module for e in JUDGED}
    files = [p for p in (ROOT / "harness" / "experiments").glob("*/*.py") if p.stem != "__init__"]
    found = {f"harness.experiments.{p.parent.name}.{p.stem}" for p in files}
    assert found == listed


@pytest.mark.parametrize("experiment", JUDGED, ids=lambda e: e.name)
def test_everything_that_the_catalogue_names_exists(experiment):
    assert callable(experiment.load_measure())
    assert callable(experiment.load_measure(gate=False))
    assert issubclass(experiment.load_reading(), Reading)
    assert (
        hasattr(importlib.import_module(experiment.module), "read_images")
        == bool(experiment.own_images)
        or experiment.name == "steering_drawn"
    )
    if experiment.own_images:
        assert experiment.own_images in {field.name for field in fields(Options)}
    gate = find_gate(experiment)
    assert gate in ((None,) if experiment.requires is None else (BEHAVIOUR, READINESS))


def test_readings_lie_where_their_experiments_do():
    for experiment in JUDGED:
        assert experiment.reading.partition(":")[0] == experiment.module.replace(
            "harness.experiments.", "harness.readings."
        )


def test_a_task_that_nobody_knows_is_an_error_that_lists_the_tasks():
    unknown = Experiment("mine", print, 40, requires="juggling")
    with pytest.raises(ValueError, match="mine requires 'juggling', and the tasks are: two obj"):
        find_gate(unknown)


@pytest.mark.parametrize("name", ["keys", "judge"])
def test_a_name_that_is_taken_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' cannot be the name of an experiment"):
        check_catalogue([*EXPERIMENTS, Experiment(name, print, 40)])


def test_an_experiment_without_looks_asks_all_trials_at_once():
    """And one that has looks begins with the first that is worth it."""
    measuring = Measuring(None, None, trials=AUTO, seed=0, setting={}, say=print)
    whole = Experiment("whole", print, trials=160, looks=False)
    looked = replace(whole, looks=True)
    for experiments, asked, level in (
        ([whole], [160], 0.95),
        ([looked], [64], 0.994),
        ([looked, whole], [64, 160], 0.994),
        ([whole, replace(looked, trials=90)], [160, 90], 0.96),
    ):
        look = choose_look(Look(0), experiments, "embedded")
        assert [measuring.count_trials(e, EMBEDDED, look) for e in experiments] == asked
        assert look.level == pytest.approx(level)
    assert choose_look(Look(0), [], "embedded") == Look(0)
    assert choose_look(ALL_TRIALS, [looked], "embedded") == ALL_TRIALS


def test_subjects_of_the_papers_size_have_the_trials_that_published_effects_need():
    """Embedded ones keep theirs, and a number that is asked for holds for both."""
    experiment = Experiment("mine", print, trials=160, paper_trials=1000)
    for trials, embedded, paper in ((None, 160, 1000), (AUTO, 64, 400), (60, 60, 60)):
        measuring = Measuring(None, None, trials=trials, seed=0, setting={}, say=print)
        assert measuring.count_trials(experiment, EMBEDDED, Look(1)) == embedded
        assert measuring.count_trials(experiment, PAPER, Look(1)) == paper
    assert choose_look(Look(0), [replace(experiment, trials=90)], "embedded") == Look(2)
    assert choose_look(Look(0), [replace(experiment, trials=90)], "paper") == Look(0)
    assert replace(experiment, paper_trials=0).count_trials("paper") == 160


def test_no_experiment_has_fewer_trials_on_subjects_of_the_papers_size():
    assert all(
        e.count_trials("paper") >= e.count_trials("embedded") == e.trials for e in EXPERIMENTS
    )
