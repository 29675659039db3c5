"""--trials auto in pytest: a claim is asked again with more trials until it is settled, and reported once."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from made_up import scorecard

CLAIMS = """
import numpy as np
import pytest
from harness.judging.claim import above, claim
from harness.statistics.estimate import Estimate, proportion
from harness.statistics.looks import ALL_TRIALS, Look
from harness.judging.verdict import Judgement, Verdict

HALF = above(0.5, unit="share", origin="stated in the paper")
ASKED, UNCLEAR, NEVER, BACK = [], [], [], []

def stated(name):
    return claim(id=f"made_up.1.{name}", statement="This is so.", source="Nobody 2026", threshold=HALF)

@pytest.fixture
def n(judge):
    return judge.look.count_trials(200)

def of(share, n):
    return proportion(np.arange(n) < round(share * n), range(n))

@stated("plain")
def test_plain(n, judge):
    judge(of(0.95, n))

@stated("wrong")
def test_wrong(n, judge):
    judge(of(0.05, n))

@stated("late")
def test_late(n, judge):
    judge(of(0.7, n))

@stated("unclear")
def test_unclear(n, judge):
    UNCLEAR.append(n)
    assert 80 not in UNCLEAR, "a look that could not settle it"
    judge(of(0.5, n))

@stated("nothing_to_ask")
def test_nothing_to_ask(n, judge):
    judge(Estimate.inapplicable("at the ceiling", n=n, clusters=n))

@stated("absent_so_far")
def test_absent_so_far(n, judge):
    judge(of(0.95, n) if n == 200 else Estimate.absent("not found", n=n, clusters=n))

@stated("never_asked")
def test_never_asked(n, judge):
    NEVER.append(n)
    assert NEVER == [n], "nothing was read off any trial"
    judge(Estimate.inapplicable("no such thing"))

@stated("raises")
def test_raises(n, judge):
    ASKED.append(n)
    assert len(ASKED) == 1, "asked again"
    raise RuntimeError("no luck")

@stated("measured_whole")
def test_measured_whole(judge):
    judge.look = ALL_TRIALS
    judge(of(0.52, judge.look.count_trials(200)))

@stated("goes_back")
def test_goes_back(judge):
    BACK.append(judge.look)
    assert len(BACK) < 4, "asked again and again"
    judge.look = Look(0)
    judge(of(0.5, 48))

@pytest.fixture
def broken(n):
    raise ValueError("no such weights")

@stated("setup")
def test_setup(broken, judge):
    pass
"""


@pytest.fixture
def asked(run, pytester):
    pytester.makepyfile(test_made_up=CLAIMS)
    result = run("--trials", "auto", "--baseline", "none", "--junitxml", "out.xml")
    return result, {r["claim"].split(".")[-1]: r for r in scorecard(pytester)["records"]}


def test_each_claim_is_asked_until_it_is_settled(asked):
    _, records = asked
    trials = {name: r["n"] for name, r in records.items() if r["n"]}
    assert trials == {
        "plain": 48,
        "wrong": 48,
        "late": 80,
        "unclear": 200,
        "nothing_to_ask": 200,
        "absent_so_far": 200,
        "measured_whole": 200,
        "goes_back": 48,
    }
    verdicts = {name: r["verdict"] for name, r in records.items()}
    assert verdicts == {
        "plain": "supported",
        "wrong": "refuted",
        "late": "supported",
        "unclear": "inconclusive",
        "nothing_to_ask": "not_applicable",
        "absent_so_far": "supported",
        "measured_whole": "inconclusive",
        "goes_back": "inconclusive",
        "never_asked": "not_applicable",
        "raises": "error",
        "setup": "error",
    }
    assert "no luck" in records["raises"]["reason"]


def test_each_claim_is_reported_once_and_the_run_says_that_looks_differ(asked, pytester):
    result, records = asked
    result.assert_outcomes(passed=3, failed=5, skipped=2, errors=1)
    cases = ET.parse(pytester.path / "out.xml").findall(".//testcase")
    assert len(cases) == len(records)
    claims = [p.get("value") for p in cases[0].findall(".//property[@name='claim']")]
    assert claims == ["made_up.1.plain"]
    content = scorecard(pytester)
    assert content["run"]["trials"] == "auto"
    assert content["missing"] == []


def test_a_wrong_number_of_trials_is_one_line(run):
    result = run("--trials", "many")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--trials: invalid*'many'*"])


def test_a_claim_that_is_cut_off_between_two_looks_has_no_verdict(run, pytester):
    cut = CLAIMS.replace(
        "judge(of(0.7, n))", "judge(of(0.7, n)) if n < 60 else pytest.exit('cut off')"
    )
    pytester.makepyfile(test_made_up=cut)
    run("--trials", "auto", "--baseline", "none", "-k", "wrong or late")
    content = scorecard(pytester)
    assert [r["claim"] for r in content["records"]] == ["made_up.1.wrong"]
    assert content["missing"] == [["made_up.1.late", "tiny-llava"]]
