"""Means whose interval is that of a test by sign flips: whether there is an effect at all."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.clusters import number_clusters
from harness.statistics.estimate import Estimate
from harness.statistics.evidence import Evidence

FLIPS = 20_000
"""Sign flips behind one interval; the smallest p-value is one in so many."""


def mean_by_flips(values: ArrayLike, clusters: Iterable[Hashable]) -> Estimate:
    """Mean with the interval of all numbers that a two-sided test by sign flips does not reject.

    Where a number is the true mean and what is above it is as likely as what is below, the values less that
    number may change sign, all of a cluster as one. The share of random flips whose mean is at least the
    observed one is the p-value. A flip beats the number m exactly if the clusters that it turns have a mean of
    at most m, so that the limits are quantiles of the means of random sets of clusters (Hartigan 1969,
    "Using subsample values as typical values").

    Args:
        values: Numbers [n]; computed in float64.
        clusters: The label of each item's cluster, n of them.

    Returns:
        The estimate, in the unit of the values. Where the clusters are too few for a level, the interval is
        unbounded.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or a value is not finite.
    """
    labels = clusters if hasattr(clusters, "__len__") else list(clusters)
    numbers, codes, count = number_clusters(values, labels, "values")
    sums = np.bincount(codes, weights=numbers, minlength=count)
    sizes = np.bincount(codes, minlength=count)
    # The seed is fixed, so that one measurement gives one verdict; the order of clusters is random already.
    turned = np.random.default_rng(0).random((FLIPS, count)) < 0.5
    # A flip that turns no cluster is the observed mean itself and counts against either limit.
    turned = turned[turned.any(1)].astype(np.float64)
    means = np.sort((turned @ sums) / (turned @ sizes))
    finest = max(1 / (len(means) + 1), 2.0**-count)

    def interval(level: float) -> tuple[float, float]:
        tail = (1 - level) / 2
        # The small addend keeps (D + 1) tail = 500 from becoming rank 499 by rounding.
        rank = min(math.floor((len(means) + 1) * tail + 1e-6), len(means))
        if tail < finest or rank < 1:
            return -math.inf, math.inf
        return float(means[rank - 1]), float(means[-rank])

    return Estimate(
        float(numbers.mean()),
        interval,
        len(numbers),
        count,
        "sign flips" + ", clustered" * (count < len(numbers)),
        resolution=finest,
        evidence=Evidence(numbers, tuple(map(str, labels))),
    )
