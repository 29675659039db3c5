"""A control is compared with the table of what it must give: any other verdict is red."""

from __future__ import annotations

import pytest
from made_up import scorecard

from harness.cli.main import main
from harness.judging import controls
from harness.judging.controls import Expected
from harness.judging.verdict import Outcome, Verdict, compare_verdict
from harness.runs.run import Options
from harness.runs.selection import select

EXPECTED = {
    "holds": Verdict.supported,
    "fails": Verdict.refuted,
    "unclear": Verdict.inconclusive,
    "absent": Verdict.refuted,
    "blocked": Verdict.blocked,
}


@pytest.fixture
def expecting(monkeypatch):
    def go(**changes):
        cells = {
            (f"made_up.1.{name}", control): Expected(verdict, "made up")
            for name, verdict in {**EXPECTED, **changes}.items()
            for control in ("shortcut", "untrained")
        }
        monkeypatch.setattr(controls, "read_expected", lambda: cells)

    return go


CHOSEN = ("-k", "holds or fails or unclear or absent or blocked")


def test_a_control_that_gives_what_it_must_is_green(run, expecting, pytester):
    expecting()
    result = run(*CHOSEN, subject="shortcut")
    result.assert_outcomes(passed=1, xfailed=3, skipped=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["Every control gives what it must."])
    assert all(r["control"] for r in scorecard(pytester)["records"])


def test_another_seed_of_an_untrained_subject_is_still_untrained(run, expecting):
    expecting()
    assert run(*CHOSEN, subject="untrained:17").ret == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [("holds", "refuted"), ("fails", "blocked"), ("unclear", "refuted"), ("absent", "supported")],
)
def test_a_control_with_any_other_verdict_is_red(run, expecting, name, expected):
    expecting(**{name: Verdict(expected)})
    result = run(*CHOSEN, subject="shortcut")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*x not what this control must give*"])
    assert result.parseoutcomes()["failed"] == 1


def test_a_control_that_correction_does_not_make_inconclusive_is_red_in_the_end(
    run, expecting, pytester
):
    expecting(holds=Verdict.inconclusive)
    result = run(*CHOSEN, subject="shortcut")
    # Until all claims are judged nobody knows what correction leaves, so that the test itself passes.
    assert "failed" not in result.parseoutcomes()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*x not what this control must give*"])
    assert {r["verdict"] for r in scorecard(pytester)["records"] if "holds" in r["claim"]} == {
        "supported"
    }


def test_a_control_without_an_expected_verdict_is_red(run, expecting, monkeypatch):
    monkeypatch.setattr(controls, "read_expected", dict)
    result = run("-k", "holds", subject="shortcut")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*fixtures/controls.toml: missing*"])


def test_controls_are_judged_by_their_table_even_if_a_baseline_is_named(run, expecting, pytester):
    expecting()
    run("-k", "holds", "--scorecard", "before", "--baseline", "none")
    result = run(*CHOSEN, "--baseline", "before/scorecard.json", subject="shortcut")
    assert result.ret == 0


def test_without_any_baseline_a_control_is_judged_like_any_subject(run, expecting, pytester):
    expecting(holds=Verdict.refuted)
    assert run("-k", "holds", "--baseline", "none", subject="shortcut").ret == 0
    assert not any(r["control"] for r in scorecard(pytester)["records"])


def test_the_scorecard_says_how_often_the_suite_is_wrong(run, pytester):
    result = run("-k", "holds")
    assert "alibrated" in result.stdout.str()
    assert "alibrated" in scorecard(pytester)["calibration"]
    assert "How often the suite is wrong" in (pytester.path / "out" / "index.html").read_text()


def test_controls_are_run_only_when_asked_for():
    assert {e.kind for e in select(Options())} == {"embedded"}
    assert {e.kind for e in select(Options(controls=True))} == {"embedded", "control"}


def test_error_on_a_control_stays_an_error():
    reading = compare_verdict(Verdict.error, Verdict.refuted, exact=True)
    assert (reading.outcome, reading.change) == (Outcome.error, "wrong")
    unknown = compare_verdict(Verdict.supported, None, in_use=True, exact=True)
    assert (unknown.outcome, unknown.change) == (Outcome.failed, "wrong")
    improved = compare_verdict(Verdict.supported, Verdict.refuted, exact=True)
    assert (improved.outcome, improved.change) == (Outcome.failed, "wrong")


def test_a_control_has_no_baseline_to_bless(run, expecting, pytester, capsys):
    expecting()
    run(*CHOSEN, subject="shortcut")
    assert main(["bless", str(pytester.path / "out"), "--into", str(pytester.path)]) == 2
    assert "fixtures/controls.toml" in capsys.readouterr().err
