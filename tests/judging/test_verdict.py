"""A verdict follows from the interval alone; an outcome follows from the table of verdicts and baselines."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.judging.claim import above, below
from harness.judging.verdict import Outcome, Standing, Verdict, compare_verdict, decide
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, mean

STATED = "stated in the paper"
V, O = Verdict, Outcome  # noqa: E741
NUMBERS = st.floats(-1e6, 1e6)
ANY = st.one_of(st.floats(), st.sampled_from([math.nan, math.inf, -math.inf]))


def measured(value, low, high, clusters=40) -> Estimate:
    return Estimate(value, lambda level: (low, high), 80, clusters, "by hand")


def verdict(low, high, limit=0.4, side=above) -> Verdict:
    return decide(
        measured((low + high) / 2, low, high), side(limit, unit="r", origin=STATED), "q"
    ).verdict


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.41, 0.5, V.supported),
        (0.4, 0.5, V.inconclusive),  # the threshold itself is not above the threshold
        (0.3, 0.5, V.inconclusive),
        (0.3, 0.4, V.refuted),
        (0.3, 0.39, V.refuted),
        (0.4, 0.4, V.refuted),
    ],
)
def test_the_interval_decides(low, high, expected):
    assert verdict(low, high) is expected
    assert verdict(-high, -low, -0.4, below) is expected


def test_reasons_are_sentences_with_numbers():
    threshold = above(0.4, unit="r", origin=STATED, exceptions={"llava": 0.6})
    straddling = measured(0.42, 0.31, 0.55)
    assert (
        decide(straddling, threshold, "q").reason == "0.42 [0.31, 0.55] r is above 0.4 only in part"
    )
    assert decide(straddling, threshold, "llava").reason == "0.42 [0.31, 0.55] r is not above 0.6"
    threshold = below(0.6, unit="r", origin=STATED)
    assert decide(straddling, threshold, "q").reason == "0.42 [0.31, 0.55] r is below 0.6"


def test_a_bound_and_a_threshold_that_differ_do_not_print_alike():
    close = decide(measured(0.5, 0.4000001, 0.6), above(0.4, unit="r", origin=STATED), "q")
    assert close.reason == "0.5 [0.4000001, 0.6] r is above 0.4"
    close = decide(measured(0.3, 0.2, 0.3999999), above(0.4, unit="r", origin=STATED), "q")
    assert close.reason == "0.3 [0.2, 0.3999999] r is not above 0.4"


def test_a_named_subject_is_judged_against_its_own_threshold():
    threshold = above(0.4, unit="r", origin=STATED, exceptions={"llava": 0.6})
    estimate = measured(0.5, 0.45, 0.55)
    assert decide(estimate, threshold, "q").verdict is V.supported
    assert decide(estimate, threshold, "llava").verdict is V.refuted


def test_what_does_not_exist_is_refuted_with_its_reason():
    judgement = decide(
        Estimate.absent("position is not coded"), above(0, unit="layers", origin=STATED), "q"
    )
    assert (judgement.verdict, judgement.reason) == (V.refuted, "position is not coded")


def test_absence_seen_in_a_handful_of_scenes_is_inconclusive():
    threshold = above(0, unit="layers", origin=STATED)
    few, enough = (
        decide(Estimate.absent("position is not coded", n=40, clusters=c), threshold, "q")
        for c in (MINIMUM_CLUSTERS - 1, MINIMUM_CLUSTERS)
    )
    assert few.verdict is V.inconclusive
    assert few.reason.startswith(f"position is not coded (only {MINIMUM_CLUSTERS - 1} scenes")
    assert (enough.verdict, enough.reason) == (V.refuted, "position is not coded")


@pytest.mark.parametrize("bounds", [(0.5, 0.6), (0.1, 0.2), (0.1, 0.6), (-math.inf, math.inf)])
def test_too_few_scenes_are_inconclusive_whatever_the_interval(bounds):
    threshold = above(0.4, unit="r", origin=STATED)
    few = decide(measured(0.5, *bounds, clusters=4), threshold, "q")
    assert few.verdict is V.inconclusive
    assert few.reason == f"only 4 scenes; at least {MINIMUM_CLUSTERS} are needed: raise --trials"
    just_few = decide(measured(0.5, 0.5, 0.6, clusters=MINIMUM_CLUSTERS - 1), threshold, "q")
    enough = decide(measured(0.5, 0.5, 0.6, clusters=MINIMUM_CLUSTERS), threshold, "q")
    assert (just_few.verdict, enough.verdict) == (V.inconclusive, V.supported)


def test_one_scene_is_inconclusive_not_an_error():
    assert (
        decide(mean([1, 2], "aa"), above(0, unit="r", origin=STATED), "q").verdict is V.inconclusive
    )


@given(ANY, ANY, ANY, st.integers(0, 20), st.sampled_from([above, below]), NUMBERS)
def test_nan_and_infinity_never_support_or_refute(value, low, high, clusters, side, limit):
    assume(not all(map(math.isfinite, (value, low, high))))
    judgement = decide(
        measured(value, low, high, clusters), side(limit, unit="r", origin=STATED), "q"
    )
    if any(map(math.isnan, (value, low, high))) or clusters >= MINIMUM_CLUSTERS:
        assert judgement.verdict is V.error
        assert "not a finite number" in judgement.reason
    else:
        assert judgement.verdict in (V.error, V.inconclusive)


def test_an_interval_inside_out_is_an_error():
    assert (
        decide(measured(0.5, 0.6, 0.5), above(0.4, unit="r", origin=STATED), "q").verdict is V.error
    )


RANK = {V.refuted: 0, V.inconclusive: 1, V.supported: 2}


@given(NUMBERS, st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3), NUMBERS)
def test_the_verdict_is_monotone_in_the_effect(low, width, up_low, up_high, limit):
    high, higher_low = low + width, low + up_low
    higher_high = max(high + up_high, higher_low)
    before, after = verdict(low, high, limit), verdict(higher_low, higher_high, limit)
    assert RANK[after] >= RANK[before]
    before, after = verdict(low, high, limit, below), verdict(higher_low, higher_high, limit, below)
    assert RANK[after] <= RANK[before]


@given(st.lists(st.integers(-9, 9), min_size=8, max_size=20), st.integers(0, 9), NUMBERS)
def test_adding_to_every_trial_never_weakens_a_claim_above(values, shift, limit):
    threshold = above(limit, unit="r", origin=STATED)
    scenes = range(len(values))
    before = decide(mean(values, scenes), threshold, "q").verdict
    after = decide(mean([v + shift for v in values], scenes), threshold, "q").verdict
    assert RANK[after] >= RANK[before]


@given(NUMBERS, st.floats(0, 1e3), NUMBERS)
def test_a_claim_and_its_mirror_image_get_one_verdict(low, width, limit):
    assert verdict(low, low + width, limit) is verdict(-(low + width), -low, -limit, below)


@given(NUMBERS, st.floats(0, 1e3), NUMBERS)
def test_a_claim_and_its_opposite_are_never_both_supported(low, width, limit):
    both = [verdict(low, low + width, limit, side) for side in (above, below)]
    assert both != [V.supported, V.supported]
    if V.supported in both:
        assert V.refuted in both


EVERY_PAIR = list(itertools.product(Verdict, Verdict))

# Rows: this run's verdict. Columns: the baseline's, in the order of Verdict.
TABLE = {
    V.supported: "passed same|passed improved|passed improved|passed improved|passed improved"
    "|passed improved|passed improved",
    V.refuted: "failed regressed|xfailed same|failed changed|failed changed|failed changed"
    "|failed changed|failed changed",
    V.inconclusive: "failed regressed|xfailed changed|xfailed same|xfailed changed|xfailed changed"
    "|xfailed changed|xfailed changed",
    V.not_applicable: "failed regressed|skipped changed|skipped changed|skipped same"
    "|skipped changed|skipped changed|skipped changed",
    V.blocked: "failed regressed|skipped changed|skipped changed|skipped changed|skipped same"
    "|skipped changed|skipped changed",
    V.not_run: "failed regressed|skipped changed|skipped changed|skipped changed|skipped changed"
    "|skipped same|skipped changed",
    V.error: "error regressed|error changed|error changed|error changed|error changed|error changed"
    "|error same",
}
ALONE = {
    V.supported: O.passed,
    V.refuted: O.failed,
    V.inconclusive: O.failed,
    V.not_applicable: O.skipped,
    V.blocked: O.skipped,
    V.not_run: O.skipped,
    V.error: O.error,
}


@pytest.mark.parametrize(("now", "before"), EVERY_PAIR)
def test_every_pair_of_verdict_and_baseline_reads_as_the_table_says(now, before):
    outcome, change = TABLE[now].split("|")[list(Verdict).index(before)].split()
    assert compare_verdict(now, before) == Standing(Outcome(outcome), change)


@pytest.mark.parametrize("now", Verdict)
def test_without_a_baseline_the_verdict_alone_is_read(now):
    assert compare_verdict(now, None) == Standing(ALONE[now], "")
    assert compare_verdict(now, None, in_use=True) == Standing(ALONE[now], "new")


@pytest.mark.parametrize(("now", "before"), EVERY_PAIR)
def test_verdicts_read_from_a_file_are_plain_words(now, before):
    assert compare_verdict(str(now), str(before)) == compare_verdict(now, before)


@pytest.mark.parametrize("now", [v for v in Verdict if v not in (V.supported, V.error)])
def test_losing_a_supported_claim_fails_whatever_it_is_lost_to(now):
    assert compare_verdict(now, V.supported) == Standing(O.failed, "regressed")


def test_a_word_that_is_no_verdict_is_refused():
    with pytest.raises(ValueError, match="perhaps"):
        compare_verdict("perhaps", None)
    with pytest.raises(ValueError, match="perhaps"):
        compare_verdict(V.supported, "perhaps")
