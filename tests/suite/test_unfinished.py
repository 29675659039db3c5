"""A folder of --scorecard whose run was killed, is still running, or was changed by hand proves nothing."""

from __future__ import annotations

import json
import shutil
import sys
import time
import xml.etree.ElementTree as ET

import pytest
from made_up import CLAIMS, scorecard

from harness.cli.main import main
from harness.judging.evidence import load_evidence, save_evidence

GOOD = CLAIMS.split('@stated("raises")')[0]
LOST = GOOD.replace("judge(around(0.9))", "judge(around(0.1))")
KILLED = LOST.replace("judge(around(0.5))", "__import__('os').kill(__import__('os').getpid(), 9)")
LEFT = LOST.replace("judge(around(0.5))", "__import__('os')._exit(0)")
EVIDENCE = "scorecard.evidence.json.gz"
PROCESSES = pytest.mark.parametrize(
    "options", [(), pytest.param(("-n", "2"), marks=pytest.mark.deep)], ids=["alone", "workers"]
)


@pytest.fixture
def here(pytester, monkeypatch):
    """The folder of the test, in which `claims` runs too."""
    monkeypatch.chdir(pytester.path)
    return pytester.path


@pytest.fixture
def before(run, pytester, here):
    """A finished run in `before`, and its copy in `after`, as a workspace that is used again has it."""
    pytester.makepyfile(test_made_up=GOOD)
    run("--baseline", "none", "--scorecard", "before")
    shutil.copytree(here / "before", here / "after")


def again(run, pytester, claims, *options):
    """Judge other claims into the folder `after`, in a process of their own if they end it."""
    pytester.makepyfile(test_made_up=claims)
    ends = "os').kill" in claims or "_exit" in claims
    how = pytester.runpytest_subprocess if ends else pytester.runpytest_inprocess
    return run("--baseline", "before", "--scorecard", "after", *options, how=how)


@PROCESSES
def test_the_scorecard_of_an_earlier_run_does_not_outlive_a_killed_one(
    run, pytester, here, before, options, capsys
):
    # With workers the controlling process is killed, too, which is the parent of the one that judges.
    claims = KILLED.replace("getpid()", "getppid()") if options else KILLED
    result = again(run, pytester, claims, *options)
    assert result.ret < 0
    assert main(["compare", "before", "after"]) == 2
    said = capsys.readouterr().err
    assert "after/scorecard.json" in said
    assert "has not finished" in said
    assert "--scorecard after" in said, "by which command"
    assert main(["bless", "after", "--into", "blessed"]) == 2
    assert main(["export", "after"]) == 2
    assert not (here / "blessed").exists()
    assert "supported" not in capsys.readouterr().out
    # A build server that reads JUnit finds an error, not the cases of the run before.
    [case] = ET.parse(here / "after" / "scorecard.xml").getroot().iter("testcase")
    assert "has not finished" in case.find("error").get("message")
    assert not (here / "after" / "index.html").exists()
    # The same command again, on what is well now, ends as if nothing had been.
    assert again(run, pytester, GOOD, *options).ret == pytest.ExitCode.OK
    assert main(["compare", "before", "after"]) == 0


def test_a_claim_that_ends_the_process_leaves_nothing_to_compare(
    run, pytester, here, before, capsys
):
    """`os._exit(0)` gives the status of success; no test runner can help that, but the next step can."""
    assert again(run, pytester, LEFT).ret == 0
    assert main(["compare", "before", "after"]) == 2
    assert "has not finished" in capsys.readouterr().err
    assert (
        ET.parse(here / "after" / "scorecard.xml").getroot().find("testsuite").get("errors") == "1"
    )


def test_a_run_that_never_began_to_judge_leaves_nothing_to_compare(run, pytester, before, capsys):
    """An option that cannot be used, or a claim that cannot be imported: the candidate was not judged."""
    for claims, options in ((GOOD, ("--seed", "0", "--family", "none")), ("import nothing", ())):
        assert again(run, pytester, claims, *options).ret not in (0, 1)
        assert main(["compare", "before", "after"]) == 2
        assert "has not finished" in capsys.readouterr().err


def test_a_run_that_is_not_finished_is_no_baseline(run, pytester, here, before):
    again(run, pytester, KILLED)
    pytester.makepyfile(test_made_up=GOOD)
    result = run("--baseline", "after", "--scorecard", "third")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "after/scorecard.json" in result.stderr.str()
    assert "has not finished" in result.stderr.str()


def test_the_records_of_an_earlier_run_make_no_new_scorecard(run, pytester, here, before):
    """A run that collects nothing has none of its own, and those of the run before are not its."""
    assert again(run, pytester, "import nothing").ret == pytest.ExitCode.INTERRUPTED
    assert json.loads((here / "after" / "scorecard.json").read_text())["run"]["state"] == "begun"


def test_a_run_whose_folder_was_emptied_says_so_and_writes_nothing(run, pytester, here, before):
    emptied = GOOD.replace(
        "judge(around(0.5))", "__import__('shutil').rmtree('after'); judge(around(0.5))"
    )
    result = again(run, pytester, emptied)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "--scorecard after: its records are gone" in result.stderr.str()
    assert not (here / "after" / "scorecard.json").exists()


@pytest.mark.parametrize("write", ["save_evidence", "write_pages", "write_json"])
def test_a_full_disk_at_the_end_leaves_nothing_to_compare(
    run, pytester, here, before, monkeypatch, write, capsys
):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    room = "reporting.writing" if write == "write_pages" else "runs.conclusion"
    monkeypatch.setattr(f"harness.{room}.{write}", refuse)
    result = again(run, pytester, LOST)
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert "--scorecard after: not written ([Errno 28] No space left on" in result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert main(["compare", "before", "after"]) == 2
    assert "has not finished" in capsys.readouterr().err


def test_a_comparison_that_is_refused_replaces_an_earlier_green_one(
    run, pytester, here, before, capsys
):
    written = ["--json", "after/gate.json", "--markdown", "after/gate.md"]
    assert main(["compare", "before", "after", *written]) == 0
    assert json.loads((here / "after" / "gate.json").read_text())["red"] is False
    again(run, pytester, KILLED)
    assert main(["compare", "before", "after", *written]) == 2
    refused = json.loads((here / "after" / "gate.json").read_text())
    assert refused["red"] is True
    assert "has not finished" in refused["refusal"]
    assert "has not finished" in (here / "after" / "gate.md").read_text()
    again(run, pytester, GOOD, "--seed", "3")
    assert main(["compare", "before", "after", *written]) == 3
    assert "seed" in json.loads((here / "after" / "gate.json").read_text())["refusal"]


def test_a_run_is_not_compared_with_the_folder_that_it_replaces(run, pytester, before):
    result = run("--baseline", "after", "--scorecard", "after/../after")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--baseline after" in result.stderr.str()
    assert "name another folder" in result.stderr.str()
    assert main(["compare", "before", "after"]) == 0, "the baseline is still there"


SLOW = GOOD.replace(
    "def test_holds(judge):",
    "def test_holds(judge):\n"
    "    import pathlib, time\n"
    "    pathlib.Path('judging').touch()\n"
    "    while not pathlib.Path('go').exists():\n"
    "        time.sleep(0.05)",
)


@PROCESSES
def test_two_runs_do_not_write_into_one_folder(run, pytester, here, before, options, capsys):
    pytester.makepyfile(test_made_up=SLOW)
    command = [
        *(sys.executable, "-m", "pytest", "-p", "harness.suite.plugin", "-p", "no:cacheprovider"),
        *("--subject", "tiny-llava", "--store", "store", "--baseline", "before"),
        *("--scorecard", "after", *options),
    ]
    first = pytester.popen(command)
    for _ in range(600):
        if (here / "judging").exists():
            break
        time.sleep(0.05)
    assert main(["compare", "before", "after"]) == 2, "it is still running"
    assert "has not finished" in capsys.readouterr().err
    second = pytester.run(*command)
    assert second.ret == pytest.ExitCode.USAGE_ERROR
    said = second.stderr.str()
    assert "after" in said
    assert "another run" in said
    assert "name another folder" in said
    (here / "go").touch()
    assert first.wait(timeout=120) == pytest.ExitCode.OK
    assert main(["compare", "before", "after"]) == 0
    assert len(scorecard(pytester, "after")["records"]) == 5


def test_the_evidence_of_another_subject_is_refused(run, pytester, here, before, capsys):
    """It holds no claim of this subject, so that nothing in it contradicts the scorecard."""
    run("--baseline", "none", "--scorecard", "other", subject="tiny-qwen2-vl")
    shutil.copy(here / "other" / EVIDENCE, here / "after" / EVIDENCE)
    assert main(["compare", "before", "after"]) == 2
    assert (
        f"after/{EVIDENCE} is not the evidence of after/scorecard.json" in capsys.readouterr().err
    )
    assert main(["bless", "after", "--into", "blessed"]) == 2


def test_evidence_that_lacks_a_claim_is_refused(run, pytester, here, before, capsys):
    evidence = load_evidence(here / "after" / EVIDENCE)
    save_evidence(here / "after" / EVIDENCE, dict(list(evidence.items())[1:]))
    assert main(["compare", "before", "after"]) == 2
    assert "is not the evidence of" in capsys.readouterr().err


def test_evidence_that_is_gone_is_refused(run, pytester, here, before, capsys):
    """Without it a loss must be larger to be seen."""
    (here / "after" / EVIDENCE).unlink()
    assert main(["compare", "before", "after"]) == 2
    said = capsys.readouterr().err
    assert f"after/{EVIDENCE}" in said
    assert "copy both files" in said


def test_a_blessed_baseline_is_bound_to_its_evidence(run, pytester, here, before, capsys):
    assert main(["bless", "before", "--into", "blessed"]) == 0
    assert main(["compare", "blessed/tiny-llava.json", "after"]) == 0
    (here / "blessed" / "tiny-llava.evidence.json.gz").unlink()
    assert main(["compare", "blessed/tiny-llava.json", "after"]) == 2
