"""What the fixture `judge` refuses, and that its errors say what to do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from made_up import CLAIMS, scorecard

from harness.judging.claim import Claim, above
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
