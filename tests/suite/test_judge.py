"""What the fixture `judge` refuses, and that its errors say what to do."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr
from made_up import CLAIMS, scorecard

from harness.judging.claim import Claim, above
from harness.judging.verdict import Outcome
from harness.measuring.experiment import Experiment
from harness.statistics.looks import ALL_TRIALS, Look
from harness.subjects.registry import read_registry
from harness.suite.judge import Judge

HALF = above(0.5, unit="share right", origin="chosen by us", note="for the test")
CLAIM = Claim(id="made_up.1.it", statement="It is.", source="Nobody 2026", threshold=HALF)
READING = "harness.readings.visual_symbols.behaviour:Behaviour"

MISTAKEN = (
    CLAIMS.split('@stated("holds"')[0]
    + """
@stated("number")
def test_number(judge):
    judge(0.9)

@stated("misspelt")
def test_misspelt(kees, judge):
    judge(kees.swapped())
"""
)


def test_mistakes_of_a_claim_are_told_by_name(run, pytester):
    pytester.makepyfile(test_made_up=MISTAKEN)
    run("--baseline", "none")
    found = {r["claim"].split(".")[-1]: r for r in scorecard(pytester)["records"]}
    assert {r["verdict"] for r in found.values()} == {"error"}
    assert (
        "judge takes an Estimate, as the methods of readings give; this is 0.9"
        in (found["number"]["reason"])
    )
    assert found["misspelt"]["reason"].startswith(
        "there is no fixture 'kees'; experiments are: spelling, behaviour, "
    )


def test_the_look_stays_once_something_was_measured_at_it():
    data = xr.Dataset({"x": (("trial",), np.ones(4))})
    run = SimpleNamespace(measure=lambda *asked: SimpleNamespace(data=data, key="k"))
    judge = Judge(run, CLAIM, read_registry()["tiny-llava"], Look(0))
    judge.look = Look(1)
    assert judge.measure(Experiment("own", print, 40, reading=READING)).look == Look(1)
    with pytest.raises(
        AttributeError, match="judge.look cannot change once something was measured"
    ):
        judge.look = ALL_TRIALS
    assert judge.look == Look(1)


@pytest.mark.parametrize(
    ("right", "gate", "verdict"),
    [(10, True, "blocked"), (10, False, None), (30, True, None), (36, True, None)],
    ids=["surely too few", "no gate", "perhaps enough", "enough"],
)
def test_a_task_that_a_measurement_tells_of_is_judged_on_its_own_trials(right, gate, verdict):
    data = xr.Dataset(
        {
            "plain": (("trial",), np.arange(40) < right),
            "scene": (("trial",), [f"s{i}" for i in range(40)]),
        }
    )
    experiment = Experiment(
        "own", print, 40, reading="harness.readings.visual_symbols.counting:Counting", least=0.7
    )
    concluded = []

    def record(claim, entry, judgement, *rest, **facts):
        concluded.append(judgement)
        return None, SimpleNamespace(outcome=Outcome.skipped)

    run = SimpleNamespace(
        measure=lambda *asked: SimpleNamespace(data=data, key="k"),
        options=SimpleNamespace(gate=gate),
        record=record,
    )
    judge = Judge(run, CLAIM, read_registry()["tiny-llava"])
    monkeyed = patch.object(Judge, "message", lambda self: "")
    with monkeyed, pytest.raises(pytest.skip.Exception) if verdict else nullcontext():
        assert judge.measure(experiment).data is data
    assert [j.verdict.value for j in concluded] == ([verdict] if verdict else [])
    assert all("does not do the task (own): 0.25" in j.reason for j in concluded)
