"""Why a run is partial, as far as what it collected and judged tells."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.judging.controls import read_expected
from harness.runs.conclusion import tell_why_partial
from harness.runs.journal import Collected, PlannedTest

CLAIMS = sorted({claim for claim, _ in read_expected()})


def collected(pairs, left_out=frozenset()):
    tests = {f"t{i}": PlannedTest(claim, name, "") for i, (claim, name) in enumerate(pairs)}
    return Collected(tests, "0", left_out)


def judged(pairs):
    return [SimpleNamespace(claim=claim, subject=subject) for claim, subject in pairs]


WHOLE = [(claim, "tiny") for claim in CLAIMS]


def test_all_claims_of_the_table_are_a_whole_run():
    assert tell_why_partial(collected(WHOLE), judged(WHOLE)) == ""


@pytest.mark.parametrize("lost", [1, 3])
def test_claims_that_were_never_collected_are_left_out(lost):
    """Their file was ignored, its name did not match, or a plugin passed it over."""
    some = WHOLE[lost:]
    noun = "claim" if lost == 1 else "claims"
    assert tell_why_partial(collected(some), judged(some)) == f"{lost} {noun} left out"


def test_claims_outside_the_table_are_whole_by_themselves():
    mine = [("mine.1.a", "tiny"), ("mine.1.b", "tiny")]
    assert tell_why_partial(collected(mine), judged(mine)) == ""
    assert tell_why_partial(collected(mine[:1], frozenset(mine[1:])), judged(mine[:1]))
    assert "some files" in tell_why_partial(collected(mine, None), judged(mine))


def test_what_another_subject_was_not_asked_does_not_count():
    others = frozenset((claim, "small") for claim in CLAIMS)
    assert tell_why_partial(collected(WHOLE, others), judged(WHOLE)) == ""


def test_a_subject_of_the_baseline_that_was_left_out_counts():
    others = frozenset((claim, "small") for claim in CLAIMS)
    told = tell_why_partial(collected(WHOLE, others), judged(WHOLE), ("tiny", "small"))
    assert told == "small of the baseline left out"


def test_a_run_of_no_claim_is_not_whole():
    assert tell_why_partial(collected([]), []) == "no claim was asked"


def test_missing_verdicts_and_an_interrupt_are_told():
    told = tell_why_partial(collected(WHOLE), judged(WHOLE[2:]), interrupted=True)
    assert told == "it was interrupted, 2 claims without a verdict"
