"""Bootstrap draws: whole scenes are drawn, and their interval is the expanded percentile interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle

from harness.judging.clusters import cluster_weights
from harness.judging.stats import from_draws

PAIRS = np.repeat(np.arange(6), 2)


def test_whole_clusters_are_drawn():
    weights = cluster_weights(PAIRS, 500, np.random.default_rng(1))
    assert weights.shape == (500, 12)
    assert weights.dtype == np.int64
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    assert (weights[:, ::2].sum(1) == 6).all()


def test_every_cluster_is_drawn_as_often_as_every_other():
    weights = cluster_weights(list("aaaabbcd"), 20_000, np.random.default_rng(2))
    # A multiplicity is Binomial(4, 1/4): mean 1, variance 3/4.
    assert np.allclose(weights.mean(0), 1, atol=5 * math.sqrt(0.75 / 20_000))
    assert np.allclose(weights.var(0), 0.75, atol=0.05)


def test_the_weights_depend_on_the_generator_only():
    draws = [cluster_weights(PAIRS, 20, np.random.default_rng(s)) for s in (3, 3, 4)]
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
    assert (estimate.low, estimate.high) == (50.0, 1950.0)
    assert estimate.interval(0.5) == (500.0, 1500.0)
    assert estimate.interval(1.0) == (1.0, 1999.0)
    estimate = from_draws(1000, draws, n=60, clusters=20)
    rank = math.floor(2000 * tail(0.025, 20))
    assert (estimate.low, estimate.high) == (rank, 2000.0 - rank)
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
    assert estimate.p_value(threshold, "above") == pytest.approx(above, rel=1e-4)
    assert estimate.p_value(threshold, "below") == pytest.approx(below, rel=1e-4)


def test_the_p_value_of_draws_never_falls_below_their_resolution():
    few = from_draws(5, [5.0] * 99, n=9, clusters=9).p_value(0, "above")
    assert tail(few, 9) == pytest.approx(0.01)


def test_draws_of_a_single_cluster_tell_nothing():
    assert from_draws(5, [5.0] * 99, n=9, clusters=1).interval(0.95) == (-math.inf, math.inf)
