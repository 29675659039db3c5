"""Bootstrap draws: whole scenes are drawn, and their interval is the expanded percentile interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws

PAIRS = np.repeat(np.arange(6), 2)


def test_whole_clusters_are_drawn():
    weights = draw_cluster_weights(PAIRS, 500, np.random.default_rng(1))
    assert weights.shape == (500, 12)
    assert weights.dtype == np.int64
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    assert (weights[:, ::2].sum(1) == 6).all()


def test_every_cluster_is_drawn_as_often_as_every_other():
    weights = draw_cluster_weights(list("aaaabbcd"), 20_000, np.random.default_rng(2))
    # A multiplicity is Binomial(4, 1/4): mean 1, variance 3/4.
    assert np.allclose(weights.mean(0), 1, atol=5 * math.sqrt(0.75 / 20_000))
    assert np.allclose(weights.var(0), 0.75, atol=0.05)


def test_the_weights_depend_on_the_generator_only():
    draws = [draw_cluster_weights(PAIRS, 20, np.random.default_rng(s)) for s in (3, 3, 4)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


MANY = 10**9
"""So many clusters that the expanded percentile interval is the plain one."""


def tail(alpha: float, clusters: int) -> float:
    """The share of draws beyond one end of the expanded percentile interval."""
    return oracle.norm.cdf((clusters / (clusters - 1)) ** 0.5 * oracle.t.ppf(alpha, clusters - 1))


def test_the_interval_of_draws_is_made_of_ranked_draws():
    draws = np.random.default_rng(0).permutation(np.arange(1.0, 2000.0))
    estimate = from_draws(1000, draws, n=MANY, clusters=MANY)
    assert estimate.interval(0.95) == (50.0, 1950.0)
    assert estimate.interval(0.5) == (500.0, 1500.0)
    estimate = from_draws(1000, draws, n=60, clusters=20)
    rank = math.floor(2000 * tail(0.025, 20))
    assert estimate.interval(0.95) == (rank, 2000.0 - rank)
    assert 20 < rank < 50
    assert (estimate.value, estimate.n, estimate.clusters) == (1000.0, 60, 20)
    assert estimate.method == "expanded percentile bootstrap, clustered"
    assert from_draws(0, draws, n=20, clusters=20).method == "expanded percentile bootstrap"


@given(
    hnp.arrays(float, st.integers(1, 200), elements=st.integers(-5, 5).map(float)),
    st.integers(-5, 5),
)
def test_the_p_value_of_draws_counts_those_not_on_the_claimed_side(draws, threshold):
    estimate = from_draws(0, draws, n=MANY, clusters=MANY)
    above = (1 + (draws <= threshold).sum()) / (1 + len(draws))
    below = (1 + (draws >= threshold).sum()) / (1 + len(draws))
    smallest = 1 / (1 + len(draws))
    for side, share in (("above", above), ("below", below)):
        p = estimate.p_value(threshold, side)
        if share > smallest * 1.001:
            assert p == pytest.approx(share, rel=1e-4)
        else:
            assert p <= smallest * 1.001


def test_draws_that_are_all_the_same_have_a_smallest_p_value():
    few = from_draws(5, [5.0] * 99, n=9, clusters=9)
    assert tail(few.p_value(0, "above"), 9) == pytest.approx(0.01)
    assert few.interval(0.999) == (5, 5)
    one_sided = from_draws(5, [5.0] * 90 + [6.0] * 9, n=9, clusters=9)
    assert tail(one_sided.p_value(0, "above"), 9) == pytest.approx(0.01)


@pytest.mark.parametrize("clusters", [12, 100])
def test_beyond_the_outermost_draw_the_ends_move_on(clusters):
    draws = np.random.default_rng(0).normal(0.95, 0.02, 1000)
    estimate = from_draws(0.95, draws, n=1000, clusters=clusters)
    # Sixty claims are corrected for: 0.025 / 60 must be within reach.
    assert estimate.p_value(0.40, "above") < 0.025 / 60
    levels = np.linspace(-0.5, 1, 4001)
    ends = np.array([estimate.interval(level) for level in levels])
    assert (np.diff(ends[:, 0]) <= 0).all()
    assert (np.diff(ends[:, 1]) >= 0).all()
    within = [tail((1 - level) / 2, clusters) > 1 / 1001 for level in levels]
    drawn = set(draws)
    assert all(ends[i, 0] in drawn and ends[i, 1] in drawn for i in np.flatnonzero(within)[:-1])
    assert ends[-1, 0] < draws.min() < draws.max() < ends[-1, 1]


@pytest.mark.parametrize("clusters", [12, 100])
@pytest.mark.parametrize("tails", ["light", "heavy"])
def test_beyond_the_draws_the_larger_of_spread_and_outermost_distance_decides(clusters, tails):
    rng = np.random.default_rng(1)
    draws = rng.uniform(-1, 1, 1000) if tails == "light" else rng.standard_t(3, 1000)
    found = from_draws(0.1, draws, n=1000, clusters=clusters)
    t = oracle.t(clusters - 1)
    wider = math.sqrt(clusters / (clusters - 1))
    finest = t.cdf(oracle.norm.ppf(1 / 1001) / wider)
    for share in (finest / 2, 1e-5, 1e-8):
        grown = t.ppf(share) / t.ppf(finest)
        spread = -t.ppf(share) * wider * draws.std()
        low = 0.1 - max(spread, (0.1 - draws.min()) * grown)
        high = 0.1 + max(spread, (draws.max() - 0.1) * grown)
        assert found.interval(1 - 2 * share) == pytest.approx((low, high), rel=1e-6)
        assert (spread > (0.1 - draws.min()) * grown) == (tails == "light")


def test_intervals_of_one_sided_or_few_valued_draws_end_at_the_outermost_draw():
    draws = np.random.default_rng(0).normal(size=1000)
    layers = np.r_[np.full(998, 2.0), 1.0, 3.0]
    same = np.full(1000, 2.0)
    for value, these in ((9.0, draws), (-9.0, draws), (2.0, layers), (2.0, same)):
        found = from_draws(value, these, n=1000, clusters=100)
        assert found.interval(1 - 1e-6) == (these.min(), these.max())
        assert found.p_value(-99, "above") == found.resolution > 0.0009


@pytest.mark.deep
@pytest.mark.parametrize(
    ("clusters", "skewness", "most"), [(12, 0, 22), (60, 0, 22), (60, -1.5, 60)]
)
def test_how_often_small_p_values_of_draws_are_wrong(clusters, skewness, most):
    """Of 20,000 experiments ten are allowed: no more by more than chance, or six times that if skewed."""
    rng = np.random.default_rng(clusters)
    share = 0.0005
    shape = (2 / skewness) ** 2 if skewness else 0
    wrong = 0
    for _ in range(200):
        size = (100, clusters)
        items = shape - rng.gamma(shape, size=size) if skewness else rng.normal(size=size)
        weights = draw_cluster_weights(range(clusters), 1000, rng) / clusters
        for row, draws in zip(items, items @ weights.T, strict=True):
            estimate = from_draws(row.mean(), draws, n=clusters, clusters=clusters)
            # p < share, as the interval of 1 - 2 share says it.
            wrong += estimate.interval(1 - 2 * share)[0] > 0
    assert wrong <= most


def test_draws_of_a_single_cluster_tell_nothing():
    assert from_draws(5, [5.0] * 99, n=9, clusters=1).interval(0.95) == (-math.inf, math.inf)
