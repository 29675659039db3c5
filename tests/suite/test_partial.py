"""A run of some of the claims says that it is partial, and passes a gate only if that is asked for by name."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from made_up import CLAIMS, scorecard

from harness.cli.main import main

GOOD = CLAIMS.split('@stated("raises")')[0]
STOPS = GOOD.replace(
    '@stated("holds"',
    '@stated("first")\ndef test_first(judge): judge(around(0.1))\n\n@stated("holds"',
)

CHOSEN = {
    "expression": ("-k", "holds"),
    "deselected": ("--deselect", "test_made_up.py::test_fails"),
    "file": ("test_made_up.py",),
    "test": ("test_made_up.py::test_holds",),
    "marker": ("-m", "not later"),
}
MARKED = GOOD.replace('@stated("fails")', '@pytest.mark.later\n@stated("fails")')
SHORTENED = """
def pytest_collection_modifyitems(items):
    del items[1:]
"""
PROCESSES = pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.deep)], ids=["alone", "workers"]
)


@pytest.fixture
def here(pytester, monkeypatch):
    """The folder of the test, in which `claims` runs too."""
    monkeypatch.chdir(pytester.path)
    return pytester.path


@pytest.fixture
def before(run, pytester, here):
    """A whole run in `before`."""
    pytester.makeini(
        "[pytest]\njunit_family = xunit1\nmarkers =\n  made_up: the paper\n  later: not today"
    )
    pytester.makepyfile(test_made_up=MARKED)
    run("--baseline", "none", "--scorecard", "before")
    assert scorecard(pytester, "before")["run"]["partial"] is False
    return lambda *options: run("--baseline", "before", "--scorecard", "after", *options)


@pytest.mark.deep
@PROCESSES
@pytest.mark.parametrize("how", CHOSEN)
def test_a_run_of_some_claims_says_so_everywhere_and_does_not_pass_the_gate(
    before, pytester, here, how, workers, capsys
):
    result = before(*CHOSEN[how], *workers, "--junitxml", "j.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    printed = result.stdout.str()
    assert "PARTIAL RUN" in printed
    assert "--partial" in printed, "how to ask for it by name"
    assert "GREEN" not in printed
    run = scorecard(pytester, "after")["run"]
    assert run["partial"] is True
    assert run["partial_because"]
    suite = ET.parse(here / "after" / "scorecard.xml").getroot().find("testsuite")
    properties = {p.get("name"): p.get("value") for p in suite.find("properties")}
    assert properties["partial"] == "True"
    assert "PARTIAL RUN" in suite.find("system-out").text
    told = ET.parse(here / "j.xml").getroot().find("testsuite/properties/property")
    assert (told.get("name"), told.get("value")[:11]) == ("partial", "PARTIAL RUN")
    assert run["partial_because"] in (here / "after" / "index.html").read_text()
    assert main(["compare", "before", "after", "--markdown", "m.md", "--json", "c.json"]) == 1
    assert "GREEN" not in capsys.readouterr().out
    assert "partial run" in (here / "m.md").read_text().lower()
    assert "✅" not in (here / "m.md").read_text()
    told = json.loads((here / "c.json").read_text())
    assert told["red"] is True
    assert run["partial_because"] in told["partial"]
    assert main(["bless", "after", "--into", "blessed"]) == 2
    assert "--partial" in capsys.readouterr().err
    assert not (here / "blessed").exists()


@PROCESSES
def test_a_partial_run_passes_for_its_own_claims_if_that_is_asked_for(
    before, pytester, here, workers, capsys
):
    result = before("-k", "holds", "--partial", *workers)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*0 regressed, 1 unchanged*", "GREEN, for 1 claim only*"])
    assert main(["compare", "before", "after", "--partial", "--markdown", "m.md"]) == 0
    assert "GREEN, for 1 claim only" in capsys.readouterr().out
    assert "partial run" in (here / "m.md").read_text().lower()
    pytester.makepyfile(test_made_up=MARKED.replace("judge(around(0.9))", "judge(around(0.7))"))
    assert before("-k", "holds", "--partial", *workers).ret == pytest.ExitCode.TESTS_FAILED
    assert main(["compare", "before", "after", "--partial"]) == 1
    assert "RED" in capsys.readouterr().out


def test_a_plugin_that_shortens_the_list_without_a_word_is_noticed(before, pytester):
    """As plugins do that split a suite over several machines."""
    pytester.makeconftest(SHORTENED)
    result = before()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert scorecard(pytester, "after")["run"]["partial_because"] == "4 claims left out"


def test_a_partial_run_becomes_a_partial_baseline_if_that_is_asked_for(before, here, capsys):
    before("-k", "holds", "--baseline", "none")
    bless = ["bless", "after", "--into", "blessed", "--partial"]
    assert main(bless) == 0
    assert "1 claims (a partial baseline)" in capsys.readouterr().out
    assert main(["compare", "blessed/tiny-llava.json", "after"]) == 3
    assert main(["compare", "blessed/tiny-llava.json", "after", "--partial"]) == 0
    assert main(["compare", "blessed/tiny-llava.json", "before", "--partial"]) == 1, "4 are new"


def test_a_partial_run_replaces_only_its_own_claims_of_a_baseline(before, pytester, here, capsys):
    bless = ["bless", "after", "--into", "blessed", "--partial"]
    assert main(["bless", "before", "--into", "blessed"]) == 0
    path = here / "blessed" / "tiny-llava.json"
    old = {r["claim"]: r for r in json.loads(path.read_text())["records"]}
    pytester.makepyfile(test_made_up=MARKED.replace("judge(around(0.9))", "judge(around(0.8))"))
    before("-k", "holds")
    assert main(bless) == 0
    new = json.loads(path.read_text())
    assert new["run"]["partial"] is False
    found = {r["claim"]: r for r in new["records"]}
    assert found["made_up.1.holds"]["estimate"] == pytest.approx(0.8)
    assert {**found, "made_up.1.holds": None} == {**old, "made_up.1.holds": None}
    # The evidence of both is there, and the whole new model is unchanged against it.
    before()
    assert main(["compare", "blessed/tiny-llava.json", "after"]) == 0
    assert "0 regressed, 5 unchanged" in capsys.readouterr().out
    before("-k", "holds", "--seed", "3", "--baseline", "none")
    kept = path.read_bytes()
    assert main(bless) == 2
    assert (
        "seed: 0 in blessed/tiny-llava.json, 3 in after/scorecard.json" in capsys.readouterr().err
    )
    assert path.read_bytes() == kept


def test_what_was_measured_by_other_code_is_not_put_among_a_baselines_claims(before, here, capsys):
    assert main(["bless", "before", "--into", "blessed"]) == 0
    before("-k", "holds")
    content = json.loads((here / "after" / "scorecard.json").read_text())
    content["run"]["code"] = "other"
    (here / "after" / "scorecard.json").write_text(json.dumps(content))
    assert main(["bless", "after", "--into", "blessed", "--partial"]) == 2
    assert "was measured by other code" in capsys.readouterr().err


def test_two_runs_of_the_same_file_are_both_partial(before, run, here, capsys):
    """What both leave out could be lost without a word."""
    for folder in ("one", "two"):
        run("--baseline", "none", "--scorecard", folder, "test_made_up.py")
    assert main(["compare", "one", "two"]) == 3
    assert "--partial" in capsys.readouterr().err
    assert main(["compare", "one", "two", "--partial"]) == 0


def test_a_deleted_claim_is_red_though_its_file_is_named(before, pytester, capsys):
    pytester.makepyfile(test_made_up=MARKED.replace("def test_holds", "def gone"))
    assert before("test_made_up.py").ret == pytest.ExitCode.TESTS_FAILED
    assert main(["compare", "before", "after"]) == 1


def test_a_run_that_stopped_at_the_first_failure_is_partial(run, pytester, here, capsys):
    pytester.makepyfile(test_made_up=STOPS)
    for option in ("-x", "--maxfail=1"):
        assert run("--baseline", "none", option).ret == pytest.ExitCode.TESTS_FAILED
        facts = scorecard(pytester)["run"]
        assert facts["partial"] is True
        assert "5 claims" in facts["partial_because"]
        assert main(["bless", "out", "--into", "blessed", "--partial"]) == 2, "verdicts are missing"
        assert "missing" in capsys.readouterr().err


def test_a_run_without_a_named_baseline_may_be_partial(before, run, pytester):
    """Who works on one claim chooses it all day long; only a gate must not pass for want of the others."""
    assert run("-k", "holds", "--baseline", "none").ret == pytest.ExitCode.OK
    assert scorecard(pytester)["run"]["partial"] is True


def test_a_subject_of_the_baseline_that_is_left_out_does_not_pass_the_gate(run, pytester, here):
    pytester.makepyfile(test_made_up=GOOD)
    run("--baseline", "none", "--subject", "tiny-qwen2-vl", "--scorecard", "before")
    both = ("--baseline", "before", "--subject", "tiny-qwen2-vl")
    assert run(*both).ret == pytest.ExitCode.OK
    result = run(*both, "-k", "not qwen2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "PARTIAL RUN (tiny-qwen2-vl of the baseline left out)" in result.stdout.str()
    assert run(*both, "-k", "not qwen2", "--partial").ret == pytest.ExitCode.OK


def test_nothing_is_blessed_where_nothing_was_judged(run, pytester, here, capsys):
    pytester.makepyfile(test_made_up=GOOD)
    run("--baseline", "none", "-k", "nothing")
    assert main(["bless", "out", "--into", "blessed", "--partial"]) == 2
    assert "nothing to bless" in capsys.readouterr().err


def test_leaving_out_a_whole_subject_is_not_partial(run, pytester, here):
    pytester.makepyfile(test_made_up=GOOD)
    run("--baseline", "none", "-k", "not qwen2", "--subject", "tiny-qwen2-vl")
    assert scorecard(pytester)["run"]["partial"] is False
    assert {r["subject"] for r in scorecard(pytester)["records"]} == {"tiny-llava"}
