"""What a run says about how long it takes, on made-up tasks and seconds."""

from __future__ import annotations

import pytest

from harness.experiments.catalogue import EXPERIMENTS, find_experiment, list_measured
from harness.runs.forecast import Forecast, read_seconds
from harness.runs.journal import Collected, PlannedMeasurement, PlannedTest
from harness.subjects.registry import read_registry
from harness.suite.progress import EVERY, Progress

SECONDS = {"tiny": {"loading": 2.0, "judging": 0.5, "keys": 40.0, "readiness": 8.0}}


def collected(subject="tiny", tests=4, key="k", share=1.0):
    needs = ("readiness", "keys")
    tasks = {f"t{i}": PlannedTest(f"p.1.c{i}", subject, "keys", needs) for i in range(tests)}
    planned = tuple(PlannedMeasurement(subject, n, key and f"{key}-{n}", share) for n in needs)
    return Collected(tasks, "", planned=planned)


@pytest.fixture
def forecast(tmp_path):
    def go(found=None, processes=1, kept=(), seconds=SECONDS):
        for key in kept:
            for end in (".json", ".nc"):
                (tmp_path / f"{key}{end}").touch()
        return Forecast(found or collected(), tmp_path, processes, seconds)

    return go


def test_the_first_line_says_what_how_long_and_what_is_measured(forecast, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    # 40 + 8 to measure, 2 to load, 2 to judge.
    assert forecast().opening() == (
        f"4 claims on tiny: about 55 s; 0 of 2 measurements are in {tmp_path.name}"
    )
    assert forecast(kept=["k-keys"]).opening().startswith("4 claims on tiny: about 15 s; 1 of 2 ")


def test_two_processes_take_half_but_no_less_than_the_longest_measurement(forecast):
    assert ", 2 processes: about 40 s" in forecast(processes=2).opening()


def test_the_time_of_a_subject_not_in_the_table_is_known_after_measuring(forecast):
    found = forecast(collected("mine", key=""))
    said = found.opening()
    assert said == "4 claims on mine: how long it takes is known after the first measurements"
    assert found.left((), (), 20.0) == ""
    # 8.0 of 52 s of the table took 80 s: the rest takes ten times as long, too.
    assert found.left((), {("mine", "readiness")}, 100.0) == "7 min"


def test_what_is_left_shrinks_as_claims_are_judged_and_follows_the_pace(forecast):
    found = forecast()
    assert found.left((), (), 0.0) == "55 s"
    at_pace = found.left((), {("tiny", "readiness")}, 10.0)
    slower = found.left((), {("tiny", "readiness")}, 50.0)
    assert (at_pace, slower) == ("45 s", "85 s")
    # What a judged claim rests on was measured, whether a line said so or not.
    assert found.left({"t0", "t1", "t2"}, (), 51.5) == "5 s"


def test_no_time_and_stored_measurements_give_no_forecast(forecast):
    found = forecast(collected("mine", key="k"), kept=["k-readiness"])
    assert found.left((), {("mine", "keys")}, 0.0) == ""
    # A measurement in the store that is measured all the same, since it is damaged.
    assert found.left((), {("mine", "readiness")}, 5.0) == ""


def test_fewer_trials_take_less(forecast):
    assert "about 20 s" in forecast(collected(share=0.25)).opening()


def test_progress_counts_verdicts_and_speaks_only_now_and_then(forecast):
    now, lines = [0.0], []
    progress = Progress(forecast(), lines.append, lambda: now[0])
    progress.say("measured readiness on tiny: 24 trials in 8.0 s", who="gw0")
    progress.note("t0", quiet=False)
    now[0] += EVERY
    progress.note("t1", quiet=True)
    progress.note("t2", quiet=False)
    assert lines == [
        "  [0/4, 35 s left] gw0: measured readiness on tiny: 24 trials in 8.0 s",
        "  [3/4, 5 s left] judging p.1 on tiny",
    ]


def test_every_experiment_has_its_seconds():
    names = {e.name for e in EXPERIMENTS}
    seconds = read_seconds()
    embedded = [e.name for e in read_registry().values() if e.kind == "embedded"]
    assert set(embedded) <= set(seconds)
    for subject in seconds.values():
        assert set(subject) == names | {"loading", "judging"}


def test_what_is_measured_for_a_claim_begins_with_what_it_builds_on():
    def names(experiment, **options):
        return [e.name for e in list_measured(find_experiment(experiment), **options)]

    assert names("keys") == ["spelling", "readiness", "mediation", "keys"]
    assert names("similarity") == ["spelling", "behaviour", "similarity"]
    assert names("keys", blocked=True) == ["spelling", "readiness"]
    # Whether it counts is told by the counts themselves.
    counting = ["spelling", "mediation", "counting"]
    assert names("counting", blocked=True) == names("counting") == counting
    assert names("keys", gate=False) == ["spelling", "mediation", "keys"]
    assert names("arrangements") == ["spelling", "arrangements"]
