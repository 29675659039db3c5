"""Claims in several processes: which worker judges what, and what is reported when one is killed."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from made_up import CLAIMS, VERDICTS, scorecard

pytest.importorskip("xdist")

NOTED = (
    CLAIMS
    + """
import os
import time
from pathlib import Path

@pytest.fixture(autouse=True)
def noted(request, entry):
    worker, gpu = os.environ.get("PYTEST_XDIST_WORKER", ""), os.environ["CUDA_VISIBLE_DEVICES"]
    with open(f"noted-{worker}.txt", "a") as file:
        file.write(f"{entry.name} {request.node.originalname} {gpu}\\n")
    time.sleep(0.05)

@pytest.fixture
def one(judge): pass

@pytest.fixture
def other(judge): pass
"""
    + "".join(
        f"""
@stated("{by}_{i}")
def test_{by}_{i}({by}, judge):
    judge(around(0.9))
"""
        for i in range(4)
        for by in ("one", "other")
    )
)

SUBJECTS = ("tiny-llava", "tiny-qwen2-vl")


def noted(folder):
    """Lines that each worker wrote, as (subject, test, gpu)."""
    return {
        path.stem.removeprefix("noted-"): [line.split() for line in path.read_text().splitlines()]
        for path in folder.glob("noted-*.txt")
    }


@pytest.fixture
def several(run, pytester, monkeypatch):
    """A function that runs made-up claims, which write down who judges them, with workers."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "BINDING_CLAIMS_PLACED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")

    def go(*options, subjects=SUBJECTS, claims=NOTED, conftest=""):
        pytester.makepyfile(test_made_up=claims)
        pytester.makeconftest(
            "import os\nfrom harness.machine.placement import place_process\n"
            f"place_process(os.environ)\n{conftest}"
        )
        chosen = [text for subject in subjects for text in ("--subject", subject)]
        return run(*chosen, "--baseline", "none", "-n", "2", *options, subject=None)

    return go


@pytest.mark.deep
def test_two_workers_have_a_subject_and_a_gpu_each(several, pytester):
    # The usual way to group, which has no effect under pytest 9.2 and pytest-xdist 3.8.
    several("--dist", "loadgroup", "-k", "one or other")
    lines = noted(pytester.path)
    subjects = [{subject for subject, _, _ in found} for found in lines.values()]
    assert sorted(subjects, key=sorted) == [{s} for s in SUBJECTS]
    assert {w: {g for _, _, g in found} for w, found in lines.items()} == {
        "gw0": {"3"},
        "gw1": {"5"},
    }


@pytest.mark.deep
def test_a_subject_is_shared_by_measurement_and_no_measurement_by_two(several, pytester):
    several("-k", "one or other", subjects=SUBJECTS[:1])
    found = noted(pytester.path).values()
    measured = [{test.split("_")[1] for _, test, _ in lines} for lines in found]
    assert sorted(measured, key=sorted) == [{"one"}, {"other"}]


@pytest.mark.deep
def test_workers_give_the_records_of_one_process(several, pytester):
    several("--scorecard", "several")
    several("-n", "0", "--scorecard", "alone")

    def records(folder):
        return [{**r, "seconds": 0} for r in scorecard(pytester, folder)["records"]]

    assert records("several") == records("alone")
    assert len(records("alone")) == 2 * (len(VERDICTS) + 8)


@pytest.mark.deep
def test_claims_that_no_option_announces_have_a_scorecard_too(several, pytester):
    pytester.makepyfile(test_made_up=CLAIMS)
    result = pytester.runpytest_inprocess(
        "-p", "harness.suite.plugin", "-n", "2", "--baseline", "none", "--store", "store"
    )
    result.stdout.fnmatch_lines(["*scorecard*", "*18 verdicts on 9 claims and 2 subjects*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


KILLED = NOTED.replace(
    "def test_one_1(one, judge):",
    """def test_one_1(one, judge, entry):
    import signal
    if entry.name == "tiny-llava" and not os.path.exists("spared"):
        os.kill(os.getpid(), signal.SIGKILL)""",
)


@pytest.mark.deep
def test_a_killed_worker_is_red_and_its_claims_are_named(several, pytester):
    result = several("-k", "one or other", "--junitxml", "j.xml", claims=KILLED)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    content = scorecard(pytester)
    judged = {(r["claim"], r["subject"]) for r in content["records"]}
    missing = {tuple(pair) for pair in content["missing"]}
    claims = {f"made_up.1.{by}_{i}" for by in ("one", "other") for i in range(4)}
    assert judged | missing == {(c, s) for c in claims for s in ("tiny-llava", "tiny-qwen2-vl")}
    assert not judged & missing
    # It was in the second of four tests that rest on one measurement; all others go to the remaining worker.
    assert missing == {(f"made_up.1.one_{i}", "tiny-llava") for i in (1, 2, 3)}
    printed = result.stdout.str()
    assert "died while judging made_up.1.one_1 on tiny-llava" in printed
    assert f"MISSING: {len(missing)} claims collected without a verdict" in printed
    for claim, subject in missing:
        assert f"  {subject} {claim}\n" in printed
    for path, every in (("j.xml", False), ("out/scorecard.xml", True)):
        cases = [
            (c.get("classname"), c.get("name"))
            for c in ET.parse(pytester.path / path).iter("testcase")
        ]
        assert len(set(cases)) == len(cases)
        assert len(cases) == 16 or not every
    # Once what killed it is gone, the same command judges everything.
    (pytester.path / "spared").touch()
    again = several("-k", "one or other", claims=KILLED)
    assert again.ret == pytest.ExitCode.OK
    assert scorecard(pytester)["missing"] == []


@pytest.mark.deep
def test_the_claim_that_killed_a_worker_is_not_given_to_the_next(several, pytester):
    result = several("-k", "one or other", "--max-worker-restart", "2", claims=KILLED)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert scorecard(pytester)["missing"] == [
        [f"made_up.1.one_{i}", "tiny-llava"] for i in (1, 2, 3)
    ]
    tried = [line for found in noted(pytester.path).values() for line in found]
    assert sum(line[:2] == ["tiny-llava", "test_one_1"] for line in tried) == 1


@pytest.mark.deep
def test_workers_that_die_before_they_have_judged_anything_leave_everything_missing(
    several, pytester
):
    dies = """
import pytest
import signal
@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    if hasattr(session.config, "workerinput"):
        os.kill(os.getpid(), signal.SIGKILL)
"""
    result = several(conftest=dies)
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    content = json.loads((pytester.path / "out" / "scorecard.json").read_text())
    assert content["records"] == []
    assert len(content["missing"]) == 34


def test_more_workers_than_gpus_are_one_line(several, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    result = several("--gpu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--gpu: 2 workers (-n) and 1 visible GPU, " in result.stderr.str()
    assert not re.search(r"Traceback|INTERNAL", result.stdout.str() + result.stderr.str())
