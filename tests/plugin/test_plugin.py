"""The plugin on claims that need no model: options, verdicts, records, scorecard, reconciliation."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

CLAIMS = """
import numpy as np
import pytest
from harness.judging.claim import above, claim
from harness.judging.stats import Estimate, mean
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


@pytest.fixture
def run(pytester):
    """Run the made-up claims with options; gives the result and the scorecard's folder."""
    pytester.makeini(
        """
        [pytest]
        junit_family = xunit1
        markers = made_up: the paper of these claims
        """
    )
    pytester.makepyfile(test_made_up=CLAIMS)

    def go(*options, subject="tiny-llava", how=pytester.runpytest_inprocess):
        chosen = ["--subject", subject] if subject else []
        if "--scorecard" not in options:
            chosen += ["--scorecard", "out"]
        return how(
            "-p", "harness.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers",
            "--store", "store", *chosen, *options,
        )  # fmt: skip

    return go


def scorecard(pytester, folder="out"):
    return json.loads((pytester.path / folder / "scorecard.json").read_text())


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
    from harness.cli import main

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
    from harness.cli import main

    run("--scorecard", "out", "--baseline", "none")
    capsys.readouterr()
    assert main(["bless", str(pytester.path / "out")]) == 2
    assert "errors" in capsys.readouterr().err


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
            for path in Path("out/records").glob("*.json"):
                path.unlink()
        """
    )
    result = run("--scorecard", "out", "--baseline", "none")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert scorecard(pytester)["missing"] == [["made_up.1.holds", "tiny-llava"]]


def test_markers_and_families_select_subjects(run):
    assert run("--collect-only", "-q", "-m", "qwen", subject=None).stdout.str().count("[tiny-") == 9
    assert "tiny-llava" not in run("--collect-only", "-q", "-m", "qwen", subject=None).stdout.str()
    only = run("--collect-only", "-q", "--family", "llava", subject=None).stdout.str()
    assert only.count("[tiny-llava]") == 9
    assert "qwen" not in only
    everything = run(
        "--collect-only", "-q", "-m", "embedded and made_up", subject=None
    ).stdout.str()
    assert everything.count("[tiny-") == 18


def test_all_claims_of_one_subject_run_before_the_next(run):
    lines = run("--baseline", "none", "-v", subject=None).stdout.lines
    order = [
        line.split("[")[1].split("]")[0] for line in lines if "::test_" in line and "[tiny-" in line
    ]
    order = [name for line, name in zip(lines, order, strict=False) if name]
    first = order[:9]
    assert len(set(first)) == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ("--subject", "no-such-model"),
            "unknown subject 'no-such-model': not in fixtures/subjects.toml (tiny-",
        ),
        (("--family", "no-such-family"), "unknown family 'no-such-family'; known: llava"),
        (("--trials", "1"), "--trials 1: at least 16 are needed"),
        (("--baseline", "no-such-run"), "--baseline no-such-run: no such file or baseline"),
        (("--scorecard", "a-file/out"), "cannot write the scorecard to a-file/out"),
        (("--store", "a-file/store"), "a-file/store"),
        (("--gpu",), "--gpu: torch sees no CUDA device"),
    ],
)
def test_a_bad_option_is_one_line_and_a_status_above_zero(run, pytester, options, complaint):
    import torch

    if "--gpu" in options and torch.cuda.is_available():
        pytest.skip("there is a GPU here, so --gpu is right")
    (pytester.path / "a-file").write_text("in the way")
    result = run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stderr.str() + result.stdout.str()
    assert complaint in said
    assert "Traceback" not in said


def test_listing_what_would_run_leaves_the_last_run_alone(run, pytester):
    run("--baseline", "none")
    before = sorted(p.name for p in (pytester.path / "out" / "records").iterdir())
    run("--collect-only")
    assert sorted(p.name for p in (pytester.path / "out" / "records").iterdir()) == before
    assert len(before) == len(VERDICTS) + 1


def test_a_claim_is_found_by_its_id(run):
    assert run("--collect-only", "-q", "-k", "unclear").stdout.str().count("[tiny-") == 1
    assert run("--collect-only", "-q", "-k", "made_up.1.absent").stdout.str().count("[tiny-") == 1


def test_two_folders_of_one_name_are_refused(run, pytester, checkpoints):
    import shutil

    for place in ("a", "b"):
        shutil.copytree(checkpoints["tiny-llava"], pytester.path / place / "checkpoint")
    result = run("--subject", "b/checkpoint", subject="a/checkpoint")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "two subjects are called 'checkpoint'" in result.stderr.str()


def test_a_folder_without_weights_is_one_line(run, pytester, checkpoints):
    import shutil

    folder = shutil.copytree(checkpoints["tiny-llava"], pytester.path / "empty")
    (folder / "model.safetensors").unlink()
    result = run(subject="empty")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "empty: no .safetensors" in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_a_damaged_baseline_is_refused(run, pytester):
    (pytester.path / "cut.json").write_text('{"run": {"schema"')
    result = run("--baseline", "cut.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "cut.json" in result.stderr.str()


def test_help_teaches_the_options(pytester):
    result = pytester.runpytest_inprocess("-p", "harness.pytest_plugin", "--help")
    result.stdout.fnmatch_lines(["claims of papers, judged on vision-language models:"])
    for option in (
        "--subject",
        "--family",
        "--gpu",
        "--trials",
        "--seed",
        "--baseline",
        "--scorecard",
        "--store",
    ):
        assert option in result.stdout.str()
