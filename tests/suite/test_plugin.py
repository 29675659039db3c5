"""The plugin on claims that need no model: verdicts, records, scorecard, reconciliation."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from made_up import CLAIMS, VERDICTS, scorecard


def test_every_collected_claim_has_one_verdict_with_an_estimate_or_a_reason(run, pytester):
    run("--scorecard", "out", "--baseline", "none")
    content = scorecard(pytester)
    found = {r["claim"].split(".")[-1]: r for r in content["records"]}
    assert {name: r["verdict"] for name, r in found.items()} == VERDICTS
    assert len(content["records"]) == len(VERDICTS)
    assert content["missing"] == []
    for record in found.values():
        with_interval = None not in (record["estimate"], record["ci_low"], record["ci_high"])
        assert with_interval or record["reason"]
    assert found["holds"]["published"] == 0.7
    assert found["raises"]["reason"].startswith("RuntimeError: out of <memory>")
    assert "no such weights" in found["setup"]["reason"]
    assert "call judge(estimate)" in found["forgets"]["reason"]


def test_verdicts_decide_the_outcomes_when_there_is_no_baseline(run):
    result = run("--baseline", "none")
    result.assert_outcomes(passed=1, failed=6, skipped=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_junit_has_the_contract_and_parses(run, pytester):
    run("--scorecard", "out", "--junitxml", "out/s.xml", "--baseline", "none")
    contract = {
        *("claim", "statement", "source", "subject", "family", "verdict", "estimate", "ci_low"),
        *("ci_high", "unit", "threshold", "direction", "n", "clusters", "seed", "published"),
        *("baseline", "reason", "measurement", "seconds"),
    }
    for name in ("s.xml", "scorecard.xml"):
        root = ET.parse(pytester.path / "out" / name).getroot()
        cases = list(root.iter("testcase"))
        assert len(cases) == len(VERDICTS)
        for case in cases:
            names = [p.get("name") for p in case.iter("property")]
            assert contract <= set(names), (name, case.attrib)
            assert names.count("claim") == 1


def test_the_failure_says_claim_subject_interval_and_threshold(run):
    result = run("--baseline", "none")
    result.stdout.fnmatch_lines(
        [
            "refuted: This is so.",
            "  0.1 [[]*[]] r is not above 0.5",
            "  threshold: above 0.5 r (stated in the paper)",
            "  source: Nobody 2026; subject: tiny-llava",
        ]
    )


def test_the_terminal_shows_the_scorecard(run):
    result = run("--baseline", "none")
    printed = result.stdout.str()
    assert "scorecard" in printed
    assert "no such weights" in printed


def test_a_blessed_run_is_green_against_itself_and_red_when_a_claim_is_lost(run, pytester):
    from harness.cli.main import main

    good = CLAIMS.split('@stated("raises")')[0]
    pytester.makepyfile(test_made_up=good)
    run("--scorecard", "out", "--baseline", "none")
    assert main(["bless", str(pytester.path / "out"), "--into", str(pytester.path)]) == 0
    again = run("--baseline", "tiny-llava.json")
    again.assert_outcomes(passed=1, xfailed=3, skipped=1)
    assert again.ret == pytest.ExitCode.OK
    pytester.makepyfile(test_made_up=good.replace("judge(around(0.9))", "judge(around(0.1))"))
    worse = run("--baseline", "tiny-llava.json", "--scorecard", "worse")
    assert worse.ret == pytest.ExitCode.TESTS_FAILED
    worse.assert_outcomes(failed=1, xfailed=3, skipped=1)
    assert main(["bless", str(pytester.path / "nowhere")]) == 2


def test_errors_cannot_be_blessed(run, pytester, capsys):
    from harness.cli.main import main

    run("--scorecard", "out", "--baseline", "none")
    capsys.readouterr()
    assert main(["bless", str(pytester.path / "out")]) == 2
    assert "errors" in capsys.readouterr().err


@pytest.mark.deep
def test_an_interrupted_run_leaves_a_scorecard_marked_partial(run, pytester):
    stopped = CLAIMS.replace("judge(around(0.5))", "raise KeyboardInterrupt")
    pytester.makepyfile(test_made_up=stopped)
    how = pytester.runpytest_subprocess
    result = run("--scorecard", "out", "--baseline", "none", how=how)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    content = scorecard(pytester)
    assert content["run"]["partial"] is True
    assert {r["claim"] for r in content["records"]} == {"made_up.1.holds", "made_up.1.fails"}
    assert ["made_up.1.unclear", "tiny-llava"] in content["missing"]


def test_a_claim_without_a_record_turns_the_run_red(run, pytester):
    good = CLAIMS.split('@stated("fails")')[0]
    pytester.makepyfile(test_made_up=good)
    pytester.makeconftest(
        """
        from pathlib import Path
        import pytest
        @pytest.hookimpl(trylast=True)
        def pytest_runtest_teardown(item):
            for path in Path("out/records").rglob("*.json"):
                path.unlink()
        """
    )
    result = run("--scorecard", "out", "--baseline", "none")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert scorecard(pytester)["missing"] == [["made_up.1.holds", "tiny-llava"]]


GREEDY = (
    CLAIMS.split('@stated("holds"')[0]
    + """
import gc
import weakref
import torch
from harness.measuring.batches import limit_rows
from harness.measuring.experiment import Experiment

class Large:
    pass

alive = []

def measure(request):
    large = Large()
    alive.append(weakref.ref(large))
    raise torch.OutOfMemoryError(f"CUDA out of memory at {limit_rows(64)} rows")

EXPERIMENT = Experiment("greedy", measure, trials=40, source="made_up:greedy")

@stated("greedy")
def test_greedy(judge):
    large = Large()
    alive.append(weakref.ref(large))
    judge.run.measure(EXPERIMENT, judge.entry)

@stated("as_greedy")
def test_as_greedy(judge):
    judge.run.measure(EXPERIMENT, judge.entry)

@stated("modest")
def test_modest(judge):
    gc.collect()
    assert [ref() for ref in alive] == [None, None, None]
    judge(around(0.9))
"""
)


@pytest.mark.deep
def test_running_out_of_memory_is_an_error_of_those_claims_and_holds_nothing(run, pytester):
    pytester.makepyfile(test_made_up=GREEDY)
    # In a process of its own: it loads a subject, which imports what cannot be imported twice in one process.
    result = run("--baseline", "none", how=pytester.runpytest_subprocess)
    found = {r["claim"].split(".")[-1]: r for r in scorecard(pytester)["records"]}
    assert {n: r["verdict"] for n, r in found.items()} == {
        "greedy": "error",
        "as_greedy": "error",
        "modest": "supported",
    }
    for name in ("greedy", "as_greedy"):
        assert found[name]["reason"].startswith(
            "out of memory: measuring greedy on tiny-llava with 64 rows at once and then 32"
        )
    printed = result.stdout.str()
    assert "with 64 rows at once: trying 32" in printed
    assert "Traceback" not in printed
