"""What cannot be asked of a subject is not applicable; what lacks its images is not run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judging.claim import above, below
from harness.judging.verdict import Judgement, Outcome, Standing, Verdict, compare_verdict, decide
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate

WHY = "95% are right without it: nothing to improve"
SIDES = st.sampled_from([above, below])
COUNTS = st.integers(0, 100)


def stated(side, limit):
    return side(limit, unit="share", origin="stated in the paper")


@given(COUNTS, COUNTS, SIDES, st.floats(-1e6, 1e6))
def test_what_has_no_meaning_is_not_applicable_whatever_the_number_of_scenes(
    n, clusters, side, limit
):
    estimate = Estimate.inapplicable(WHY, n=n, clusters=clusters)
    assert decide(estimate, stated(side, limit), "q") == Judgement(Verdict.not_applicable, WHY)


@pytest.mark.parametrize("clusters", [0, 1, MINIMUM_CLUSTERS - 1, MINIMUM_CLUSTERS])
def test_the_three_ways_to_have_no_value_get_three_verdicts(clusters):
    kinds = (Estimate.inapplicable, Estimate.unsettled, Estimate.absent)
    found = [
        decide(kind(WHY, n=clusters, clusters=clusters), stated(above, 0), "q").verdict
        for kind in kinds
    ]
    few = 0 < clusters < MINIMUM_CLUSTERS
    absent = Verdict.inconclusive if few else Verdict.refuted
    assert found == [Verdict.not_applicable, Verdict.inconclusive, absent]


@given(COUNTS, st.sampled_from(["above", "below"]), st.floats(allow_nan=False))
def test_the_p_value_of_what_is_not_applicable_is_one(clusters, direction, limit):
    estimate = Estimate.inapplicable(WHY, n=clusters, clusters=clusters)
    assert estimate.p_value(limit, direction) == 1.0


def test_what_is_not_applicable_has_no_value_or_interval_but_keeps_its_numbers():
    estimate = Estimate.inapplicable(WHY, n=40, clusters=20)
    assert estimate.value is None
    assert all(map(math.isnan, estimate.interval(0.95)))
    assert (estimate.n, estimate.clusters, estimate.reason) == (40, 20, WHY)
    assert (estimate.applies, estimate.settled) == (False, True)


@pytest.mark.parametrize("reason", ["", "  "])
def test_what_is_not_applicable_needs_a_reason(reason):
    with pytest.raises(ValueError, match="needs a reason"):
        Estimate.inapplicable(reason)


def test_absent_and_unsettled_estimates_count_as_applicable():
    assert Estimate.absent(WHY).applies
    assert Estimate.unsettled(WHY).applies


@pytest.mark.parametrize("verdict", [Verdict.not_run, Verdict.not_applicable])
def test_what_was_not_asked_is_skipped_without_a_baseline(verdict):
    assert compare_verdict(verdict, None) == Standing(Outcome.skipped, "")
    assert compare_verdict(verdict, None, in_use=True) == Standing(Outcome.skipped, "new")


@pytest.mark.parametrize("verdict", [Verdict.not_run, Verdict.not_applicable])
def test_what_was_not_asked_fails_if_the_baseline_supports_it(verdict):
    assert compare_verdict(verdict, Verdict.supported) == Standing(Outcome.failed, "regressed")


@pytest.mark.parametrize("before", [v for v in Verdict if v is not Verdict.supported])
def test_what_was_not_run_is_skipped_if_the_baseline_does_not_support_it(before):
    change = "same" if before is Verdict.not_run else "changed"
    assert compare_verdict(Verdict.not_run, before) == Standing(Outcome.skipped, change)


@pytest.mark.parametrize(
    ("now", "outcome", "change"),
    [
        (Verdict.supported, Outcome.passed, "improved"),
        (Verdict.refuted, Outcome.failed, "changed"),
        (Verdict.inconclusive, Outcome.xfailed, "changed"),
        (Verdict.not_applicable, Outcome.skipped, "changed"),
        (Verdict.blocked, Outcome.skipped, "changed"),
        (Verdict.error, Outcome.error, "changed"),
    ],
)
def test_a_claim_that_was_not_run_before_is_reported_by_its_verdict_alone(now, outcome, change):
    assert compare_verdict(now, Verdict.not_run) == Standing(outcome, change)


def test_a_control_that_was_not_run_is_wrong_unless_the_table_says_so():
    assert compare_verdict(Verdict.not_run, None, exact=True) == Standing(Outcome.failed, "wrong")
    assert compare_verdict(Verdict.not_run, Verdict.refuted, exact=True) == Standing(
        Outcome.failed, "wrong"
    )
    assert compare_verdict(Verdict.not_run, Verdict.not_run, exact=True) == Standing(
        Outcome.skipped, "same"
    )


def test_verdicts_may_be_given_as_words():
    assert compare_verdict("not_run", "supported") == Standing(Outcome.failed, "regressed")
