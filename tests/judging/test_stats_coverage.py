"""A 95% interval covers the truth in 93 to 97 of 100 simulated experiments."""

from __future__ import annotations

import numpy as np
import pytest

from harness.judging.stats import cluster_weights, from_draws, mean, proportion

EXPERIMENTS = 4000


def coverage(estimates, truth: float) -> float:
    return float(np.mean([e.low <= truth <= e.high for e in estimates]))


def in_clusters(sizes, rng: np.random.Generator):
    """Normal values [EXPERIMENTS, n] with mean 0 and correlation 1/2 within a cluster."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    between = rng.normal(size=(EXPERIMENTS, len(sizes)))[:, clusters]
    return between + rng.normal(size=between.shape), clusters


def hits(share: float, correlation: float, sizes, rng: np.random.Generator):
    """Beta-binomial outcomes [EXPERIMENTS, n] with the given correlation within a cluster."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    spread = 1 / correlation - 1
    chance = rng.beta(share * spread, (1 - share) * spread, (EXPERIMENTS, len(sizes)))
    return rng.random((EXPERIMENTS, len(clusters))) < chance[:, clusters], clusters


@pytest.mark.parametrize(("share", "n"), [(0.5, 100), (0.8, 150), (0.95, 300)])
def test_wilson_without_clusters(share, n):
    outcomes = np.random.default_rng(1).random((EXPERIMENTS, n)) < share
    scenes = list(range(n))
    assert 0.93 <= coverage((proportion(o, scenes) for o in outcomes), share) <= 0.97


@pytest.mark.parametrize(("share", "correlation"), [(0.5, 0.5), (0.8, 0.1), (0.8, 0.5)])
@pytest.mark.parametrize("sizes", [[4] * 40, [1, 2, 3, 4, 6] * 8])
def test_wilson_with_clusters(share, correlation, sizes):
    outcomes, scenes = hits(share, correlation, sizes, np.random.default_rng(2))
    scenes = scenes.tolist()
    assert 0.93 <= coverage((proportion(o, scenes) for o in outcomes), share) <= 0.97


def test_wilson_that_ignores_clusters_is_caught():
    outcomes, scenes = hits(0.8, 0.5, [10] * 20, np.random.default_rng(3))
    naive = list(range(len(scenes)))
    assert coverage((proportion(o, naive) for o in outcomes[:1000]), 0.8) < 0.7


@pytest.mark.parametrize("sizes", [[1] * 12, [10] * 8, [2, 4, 6] * 8])
def test_the_t_interval(sizes):
    values, scenes = in_clusters(sizes, np.random.default_rng(4))
    scenes = scenes.tolist()
    assert 0.93 <= coverage((mean(v, scenes) for v in values), 0) <= 0.97


def test_a_t_interval_that_ignores_clusters_is_caught():
    values, scenes = in_clusters([10] * 20, np.random.default_rng(5))
    naive = list(range(len(scenes)))
    assert coverage((mean(v, naive) for v in values[:1000]), 0) < 0.7


@pytest.mark.parametrize("sizes", [[1] * 60, [3] * 60, [1, 2, 3] * 20])
def test_the_percentile_bootstrap(sizes):
    rng = np.random.default_rng(6)
    values, scenes = in_clusters(sizes, rng)
    # The weights do not depend on the data, so all experiments may share them.
    weights = cluster_weights(scenes.tolist(), 799, rng)
    draws = values @ (weights / weights.sum(1, keepdims=True)).T
    estimates = (
        from_draws(v.mean(), d, n=len(scenes), clusters=len(sizes))
        for v, d in zip(values, draws, strict=True)
    )
    assert 0.93 <= coverage(estimates, 0) <= 0.97
