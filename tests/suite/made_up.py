"""Claims that need no model, with the verdicts they must get."""

from __future__ import annotations

import json

CLAIMS = """
import numpy as np
import pytest
from harness.judging.claim import above, claim
from harness.statistics.estimate import Estimate, mean
from harness.judging.verdict import Judgement, Verdict

HALF = above(0.5, unit="r", origin="stated in the paper")

def stated(name, **more):
    return claim(id=f"made_up.1.{name}", statement="This is so.", source="Nobody 2026", threshold=HALF, **more)

def around(centre):
    return mean(centre + np.linspace(-0.1, 0.1, 40), range(40))

@stated("holds", published={"tiny-llava": 0.7})
def test_holds(judge):
    judge(around(0.9))

@stated("fails")
def test_fails(judge):
    judge(around(0.1))

@stated("unclear")
def test_unclear(judge):
    judge(around(0.5))

@stated("absent")
def test_absent(judge):
    judge(Estimate.absent("there is no such thing"))

@stated("blocked")
def test_blocked(judge):
    judge.conclude(Judgement(Verdict.blocked, "the subject cannot"))

@stated("raises")
def test_raises(judge):
    raise RuntimeError("out of <memory> \\x1b[31m")

@stated("forgets")
def test_forgets(judge):
    pass

@pytest.fixture
def broken():
    raise ValueError("no such weights")

@stated("setup")
def test_setup(broken, judge):
    judge(around(0.9))

@stated("nan")
def test_nan(judge):
    judge(Estimate(float("nan"), lambda level: (0.9, 1.0), 40, 40, "t"))
"""

VERDICTS = {
    "holds": "supported",
    "fails": "refuted",
    "unclear": "inconclusive",
    "absent": "refuted",
    "blocked": "blocked",
    "raises": "error",
    "forgets": "error",
    "setup": "error",
    "nan": "error",
}


def scorecard(pytester, folder="out"):
    return json.loads((pytester.path / folder / "scorecard.json").read_text())
