"""What the terminal shows of claims: no letters, how far the run is, a short ending; other tests as usual."""

from __future__ import annotations

import re

import pytest
from made_up import CLAIMS, VERDICTS

MANY = (
    CLAIMS.split('@stated("raises")')[0]
    + """
def test_of_another_kind():
    pass
"""
    + "".join(
        f"""
@stated("more_{i}")
def test_more_{i}(judge):
    judge(around(0.9))
"""
        for i in range(30)
    )
)

ONLY = ("-k", "not of_another_kind")


@pytest.fixture
def printed(run, pytester, monkeypatch):
    """A function that runs many made-up claims and returns what is printed, without times."""
    monkeypatch.setenv("COLUMNS", "120")

    def go(*options, claims=MANY, **how):
        pytester.makepyfile(test_made_up=claims)
        return run(*options, **how).stdout.str()

    return go


def test_the_run_begins_with_what_will_happen_and_shows_no_letters(printed):
    text = printed(*ONLY, "--baseline", "none")
    assert "35 claims on tiny-llava: about 5 s" in text
    assert not re.search(r"^[.FxsE]+( +\[ *\d+%\])?$", text, re.M)
    assert "test_made_up.py ." not in text
    assert "[100%]" not in text


def test_tests_that_are_no_claims_keep_their_letters_and_file_names(printed):
    text = printed("--baseline", "none")
    assert re.search(r"^test_made_up.py \. +\[100%\]$", text, re.M)
    assert "35 claims on tiny-llava" in text


def test_without_claims_there_is_no_forecast(printed):
    text = printed("-k", "of_another_kind")
    assert "claims on" not in text
    assert re.search(r"^test_made_up.py \. ", text, re.M)


@pytest.mark.deep
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_with_workers_shows_the_same(printed, workers):
    text = printed(*ONLY, "--baseline", "none", "-n", workers)
    processes = "" if workers == "0" else ", 2 processes"
    assert f"35 claims on tiny-llava{processes}: about 5 s" in text
    assert not re.search(r"^[.FxsE]{2,}", text, re.M)
    assert "[100%]" not in text


def test_a_line_for_each_claim_and_the_whole_table_come_with_v(printed):
    text = printed("-v", "--baseline", "none")
    assert re.search(r"test_made_up.py::test_holds\[tiny-llava\] PASSED +\[ *\d+%\]", text)
    assert re.search(r"^  more 7 +supported", text, re.M)
    assert not re.search(r"^  more 7 +supported", printed("--baseline", "none"), re.M)


def test_with_q_there_is_no_forecast_and_the_usual_ending(printed):
    text = printed("-q", *ONLY, "--baseline", "none")
    assert "claims on tiny-llava:" not in text
    assert "31 supported, 2 refuted, 1 inconclusive, 1 blocked" in text


def test_collecting_only_gives_no_forecast(printed):
    text = printed("--collect-only", "-q")
    assert "claims on" not in text
    assert "next:" not in text


def test_a_failure_is_told_once_with_its_reason_and_the_run_ends_with_the_next_step(printed):
    text = printed(*ONLY, "--baseline", "none")
    assert text.count("0.1 [0.0904, 0.11] r is not above 0.5") <= 1
    assert "refuted: This is so." in text
    assert "3 of 35 verdicts fail the run, for want of a baseline that expects them" in text
    assert text.index("short test summary") < text.index("= scorecard")
    ending = text[text.index("all 35 verdicts") :].splitlines()
    assert ending[0] == "all 35 verdicts, with pictures: out/index.html (a table here: -v)"
    assert ending[1].startswith("next: ")


def test_without_tracebacks_failures_are_told_in_the_scorecard(printed):
    text = printed(*ONLY, "--baseline", "none", "--tb", "no")
    assert "Fails the run" in text
    assert "r is not above 0.5 (stated in the paper)" in text


def test_a_claim_that_is_lost_is_told_against_its_baseline(printed, pytester):
    printed(*ONLY, "--baseline", "none", "--scorecard", "before")
    worse = MANY.replace("judge(around(0.9))", "judge(around(0.2))", 1)
    text = printed(*ONLY, "--baseline", "before", claims=worse)
    assert "made_up.1.holds (was supported at 0.9" in text
    assert re.search(r"^next: \S*claims compare before out +what was lost", text, re.M)


def test_few_verdicts_are_shown_in_a_table_without_v(printed):
    text = printed("--baseline", "none", claims=CLAIMS)
    assert len(VERDICTS) < 25
    assert re.search(r"^  holds +supported", text, re.M)


def test_a_refusal_says_how_to_judge_without_the_baseline(printed):
    printed(*ONLY, "--baseline", "none", "--scorecard", "before")
    text = printed(*ONLY, "--baseline", "before", "--seed", "3")
    assert "cannot be compared with the baseline" in text
    assert re.search(r"^next: \S*pytest .*--seed 3 --baseline none  ", text, re.M)
    assert "--baseline before" not in text


def test_with_q_only_counts_and_what_fails_are_told(printed):
    text = printed("-q", *ONLY, "--baseline", "none")
    assert "next:" not in text
    assert "  made_up.1 " not in text
    assert "3 of 35 verdicts fail the run" in text


def test_a_build_server_gets_no_lines_that_only_somebody_who_waits_would_read(printed, monkeypatch):
    assert "  made_up.1 " in printed(*ONLY, "--baseline", "none")
    monkeypatch.setenv("CI", "true")
    text = printed(*ONLY, "--baseline", "none")
    assert "judging made_up" not in text
    assert "  made_up.1 " not in text
    assert "3 of 35 verdicts fail the run" in text
    assert "next: " in text


def test_lines_are_as_wide_as_the_terminal_and_colored_only_there(printed, monkeypatch):
    wide = printed(*ONLY, "--baseline", "none")
    assert "\x1b[" not in wide
    monkeypatch.setenv("COLUMNS", "70")
    ending = printed(*ONLY, "--baseline", "none").partition("= scorecard")[2].splitlines()
    told = [x for x in ending[1:] if not x.startswith(("=", "next:", "      ", "all 35"))]
    assert max(map(len, told)) <= 70
    colored = printed(*ONLY, "--baseline", "none", "--color", "yes")
    assert "\x1b[" in colored.partition("= scorecard")[2]
