"""Estimates agree with scipy where scipy has the answer, and refuse what has none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle
from scipy.optimize import brentq

from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, adjust_p_values, mean, proportion
from harness.statistics.shares import mean_share, net_share

SINGLE = list(range(12))
VALUES = np.array([0.3, -1.2, 0.8, 2.1, 0.4, 0.9, -0.3, 1.7, 0.2, 0.6, 1.1, -0.5])
SINGLE_WINS = np.arange(12) < 7
PAIRS = np.repeat(np.arange(6), 2)


@pytest.mark.parametrize("successes", range(13))
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_without_clusters_a_proportion_is_scipys_wilson(successes, level):
    estimate = proportion(np.arange(12) < successes, SINGLE)
    expected = oracle.binomtest(successes, 12).proportion_ci(level, method="wilson")
    assert estimate.value == successes / 12
    assert estimate.interval(level) == pytest.approx(tuple(expected), abs=1e-12)
    assert (estimate.n, estimate.clusters, estimate.method) == (12, 12, "Wilson")


def test_the_interval_of_a_proportion_stays_within_zero_and_one():
    for n in range(1, 200):
        assert proportion([True] * n, range(n)).interval(0.95)[1] == 1.0
        assert proportion([False] * n, range(n)).interval(0.95)[0] == 0.0
    assert proportion([True] * 50, range(50)).interval(0.95)[0] == pytest.approx(0.9286524)


def test_a_proportions_p_value_is_that_of_the_score_test():
    estimate = proportion(np.arange(40) < 27, range(40))
    z = (27 / 40 - 0.5) / math.sqrt(0.25 / 40)
    assert estimate.p_value(0.5, "above") == pytest.approx(oracle.norm.sf(z), rel=1e-6)
    assert estimate.p_value(0.5, "below") == pytest.approx(oracle.norm.cdf(z), rel=1e-6)


def test_copies_of_one_trial_per_scene_add_nothing_but_the_t_quantile():
    hits = np.arange(30) < 21
    copied = proportion(np.repeat(hits, 5), np.repeat(np.arange(30), 5))
    # The design effect of five copies, by the definition with n - 1 in both variances.
    deff = (0.21 / 29) / (0.21 / 149)
    q, n = oracle.t.ppf(0.975, 29), 150 / deff
    assert copied.interval(0.95) == pytest.approx(wilson(0.7, n, q))
    assert (copied.n, copied.clusters, copied.method) == (150, 30, "Wilson, clustered")


def wilson(share: float, n: float, q: float) -> tuple[float, float]:
    """The score interval by its definition: |share - p| = q sqrt(p (1 - p) / n), solved for p."""
    roots = np.roots([1 + q * q / n, -(2 * share + q * q / n), share * share])
    return min(roots), max(roots)


def test_clusters_that_balance_do_not_narrow_the_interval_below_independence():
    alternating = proportion(np.arange(40) % 2 == 0, np.repeat(np.arange(20), 2))
    expected = wilson(0.5, 40, oracle.t.ppf(0.975, 19))
    assert alternating.interval(0.95) == pytest.approx(expected)


def test_when_all_outcomes_agree_each_cluster_counts_once():
    clusters = np.repeat(np.arange(20), 10)
    expected = wilson(1.0, 20, oracle.t.ppf(0.975, 19))
    sure, never = proportion([True] * 200, clusters), proportion([False] * 200, clusters)
    assert sure.interval(0.95) == pytest.approx(expected)
    assert never.interval(0.95) == pytest.approx((0, 1 - expected[0]))


def test_one_cluster_says_nothing():
    one = ["scene"] * 12
    assert proportion(VALUES > 0, one).interval(0.95) == (0.0, 1.0)
    assert mean(VALUES, one).interval(0.95) == (-math.inf, math.inf)
    assert mean(VALUES, one).p_value(-100, "above") == 1.0


@pytest.mark.parametrize("bad", [[0.5, 1.0], [2, 1], ["yes", "no"], [math.nan, 1.0]])
def test_outcomes_that_are_not_booleans_are_refused(bad):
    with pytest.raises(ValueError, match="booleans"):
        proportion(bad, ["a", "b"])


EVEN = np.concatenate([VALUES, -VALUES]) + 0.3
"""As often above its mean as below, so that there is no skewness to correct for."""


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_without_clusters_and_skewness_a_mean_is_scipys_t_interval(level):
    expected = oracle.ttest_1samp(EVEN, 0).confidence_interval(level)
    estimate = mean(EVEN, range(24))
    assert estimate.interval(level) == pytest.approx(tuple(expected))
    assert (estimate.value, estimate.method) == (pytest.approx(0.3), "skew-corrected t")


def test_with_equal_clusters_a_mean_is_the_t_interval_of_the_cluster_means():
    clusters = np.repeat(np.arange(12), 2)
    expected = oracle.ttest_1samp(EVEN.reshape(12, 2).mean(1), 0).confidence_interval()
    estimate = mean(EVEN, clusters)
    assert estimate.interval(0.95) == pytest.approx(tuple(expected))
    assert (estimate.n, estimate.clusters, estimate.method) == (
        24,
        12,
        "skew-corrected t, clustered",
    )


@pytest.mark.parametrize("clusters", [SINGLE, PAIRS, [0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4]])
@pytest.mark.parametrize("values", [VALUES, VALUES**2, np.exp(2 * VALUES)])
def test_a_skewed_mean_solves_halls_cubic_over_the_cr1_sandwich(values, clusters):
    codes = np.unique(clusters, return_inverse=True)[1]
    count = codes.max() + 1
    x = np.ones((12, 1))
    bread = np.linalg.inv(x.T @ x)
    residuals = values - values.mean()
    scores = [x[codes == g].T @ residuals[codes == g] for g in range(count)]
    meat = sum(np.outer(s, s) for s in scores)
    error = (count / (count - 1) * (bread @ meat @ bread)[0, 0]) ** 0.5
    skewness = oracle.moment(np.ravel(scores), 3, center=0)
    skewness /= oracle.moment(np.ravel(scores), 2, center=0) ** 1.5

    def cubic(studentised, t):
        bent = skewness / count**0.5
        return (
            studentised + bent * studentised**2 / 3 + bent**2 * studentised**3 / 27 + bent / 6 - t
        )

    t = oracle.t.ppf(0.975, count - 1)
    low, high = (values.mean() - error * brentq(cubic, -1e3, 1e3, (x,)) for x in (t, -t))
    estimate = mean(values, clusters)
    assert estimate.interval(0.95) == pytest.approx((low, high))


def test_a_long_tail_above_moves_the_interval_up():
    low, high = mean(np.exp(2 * VALUES), SINGLE).interval(0.95)
    plain = oracle.ttest_1samp(np.exp(2 * VALUES), 0).confidence_interval()
    assert low > plain.low
    assert high > plain.high


@pytest.mark.parametrize(("side", "alternative"), [("above", "greater"), ("below", "less")])
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.5, 0.7, 3.0])
def test_a_means_p_value_is_that_of_the_t_test(side, alternative, threshold):
    expected = oracle.ttest_1samp(EVEN, threshold, alternative=alternative).pvalue
    found = mean(EVEN, range(24)).p_value(threshold, side)
    assert found == pytest.approx(max(expected, 1e-9), rel=1e-5)


@given(st.permutations(range(12)), st.integers(0, 3))
def test_order_and_names_of_clusters_do_not_matter(order, rename):
    order = list(order)
    names = [(int(g) + rename, "scene") for g in PAIRS]
    for estimator, values in ((mean, VALUES), (proportion, VALUES > 0.35)):
        expected = estimator(values, PAIRS)
        shuffled = estimator(values[order], [names[i] for i in order])
        assert shuffled.interval(0.95) == pytest.approx(expected.interval(0.95))


@pytest.mark.parametrize("missing", [None, math.nan, ""])
@pytest.mark.parametrize("estimator", [mean, proportion, net_share, mean_share])
def test_a_missing_cluster_label_is_an_error(missing, estimator):
    labels = ["a", "b", missing, "c"]
    with pytest.raises(ValueError, match="item 2 of 4 has no cluster label"):
        estimator([1, 0, 1, 1], labels)
    with pytest.raises(ValueError, match="item 2 of 4 has no cluster label"):
        estimator([1, 0, 1, 1], np.array(labels, dtype=object))
    with pytest.raises(ValueError, match="item 2 of 4 has no cluster label"):
        draw_cluster_weights(labels, 10, np.random.default_rng(0))


@pytest.mark.parametrize("estimator", [mean, proportion])
def test_lengths_must_agree(estimator):
    with pytest.raises(ValueError, match="3 .* but 2 cluster labels"):
        estimator([1, 0, 1], ["a", "b"])


def test_shapes_other_than_a_list_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        mean(np.ones((2, 2)), ["a", "b"])
    with pytest.raises(ValueError, match="not a table"):
        mean(np.ones(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="no items"):
        mean([], [])
    with pytest.raises(ValueError, match="one number per draw"):
        from_draws(0, [], n=1, clusters=1)
    with pytest.raises(ValueError, match="one number per draw"):
        from_draws(0, np.ones((2, 2)), n=1, clusters=1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="1 of 3 values are not finite"):
        mean([0, bad, 1], "abc")
    with pytest.raises(ValueError, match="1 of 3 draws are not finite"):
        from_draws(0, [0, bad, 1], n=3, clusters=3)
    with pytest.raises(ValueError, match="not finite"):
        from_draws(bad, [0, 1, 2], n=3, clusters=3)


@settings(max_examples=50)
@example(values=np.zeros(12), threshold=-1.0, side="above")
@given(
    values=hnp.arrays(float, 12, elements=st.integers(-20, 20).map(lambda x: x / 10)),
    threshold=st.floats(-1, 1),
    side=st.sampled_from(["above", "below"]),
)
def test_p_is_under_a_fortieth_exactly_when_the_interval_is_on_the_claimed_side(
    values, threshold, side
):
    draws = np.random.default_rng(0).choice(values, 199)
    for estimate in (
        mean(values, PAIRS),
        proportion(values > 0, PAIRS),
        net_share(np.sign(np.round(values)), PAIRS),
        mean_share((values + 2) / 4, PAIRS),
        from_draws(values.mean(), draws, n=12, clusters=6),
    ):
        edge = estimate.interval(0.95)[0] if side == "above" else estimate.interval(0.95)[1]
        clear = edge > threshold if side == "above" else edge < threshold
        p = estimate.p_value(threshold, side)
        assert estimate.resolution <= p <= 1
        if p == estimate.resolution > 0.025:
            # As small as it can be told to be, of so few values.
            assert clear
        else:
            assert p == pytest.approx(0.025, rel=1e-4) or (p < 0.025) == clear


def test_a_p_value_never_falls_below_the_resolution():
    assert mean(VALUES + 1e9, SINGLE).p_value(0, "above") == 1e-9


def test_a_direction_other_than_above_or_below_is_refused():
    with pytest.raises(ValueError, match="'over'"):
        mean(VALUES, SINGLE).p_value(0, "over")


def test_what_does_not_exist_has_a_reason_and_no_numbers():
    nothing = Estimate.absent("position is not coded", n=40, clusters=20)
    assert nothing.value is None
    assert np.isnan(nothing.interval(0.95)).all()
    assert (nothing.n, nothing.clusters) == (40, 20)
    assert nothing.p_value(0, "above") == nothing.p_value(0, "below") == 1.0
    with pytest.raises(ValueError, match="needs a reason"):
        Estimate.absent(" ")


def test_nan_has_no_significant_p_value():
    broken = Estimate(math.nan, lambda level: (math.nan, math.nan), 9, 9, "by hand")
    assert broken.p_value(0, "above") == broken.p_value(0, "below") == 1.0


@given(st.lists(st.floats(0, 1), max_size=20))
def test_adjusted_p_values_are_benjamini_hochberg(p_values):
    adjusted = adjust_p_values(p_values)
    m = len(p_values)
    ranked = sorted(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        # By the definition: the least of m p_(k) / k over the ranks at or above this one.
        expected = min([1.0, *(m * r / (k + 1) for k, r in enumerate(ranked) if r >= p)])
        assert q == pytest.approx(expected)


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_adjusting_what_is_no_p_value_is_refused(bad):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        adjust_p_values([0.5, bad])


@pytest.mark.parametrize("level", [95, 1.5, math.nan])
@pytest.mark.parametrize("make", [proportion, mean, net_share, mean_share])
def test_a_level_that_is_none_is_refused(make, level):
    for estimate in (make(SINGLE_WINS, SINGLE), Estimate.absent("no such thing")):
        with pytest.raises(
            ValueError, match=rf"^level is {level}; it must lie below 1, such as 0.95$"
        ):
            estimate.interval(level)
        with pytest.raises(ValueError, match="it must lie above -1"):
            estimate.interval(-1.5)


def test_an_estimate_made_from_another_has_the_same_interval():
    estimate = proportion(SINGLE_WINS, SINGLE)
    again = replace(estimate, reason="for a reason")
    assert again.interval == estimate.interval
    assert replace(again, reason="") == estimate
