"""Means of a sample under random sign flips, of which a test for whether there is an effect is made."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.statistics.clusters import number_clusters

FLIPS = 20_000
"""Sign flips behind one interval; the smallest p-value is one in so many."""


@dataclass(frozen=True)
class Flips:
    """What random sign flips of a sample give.

    Attributes:
        numbers: The values, float64 [n].
        count: How many clusters they are of.
        means: The means of random sets of clusters, sorted [D].
        finest: The smallest tail that flips of so many clusters can tell.
    """

    numbers: NDArray[np.float64]
    count: int
    means: NDArray[np.float64]
    finest: float

    def interval(self, level: float) -> tuple[float, float]:
        """All numbers that a two-sided test by flips does not reject; unbounded with too few clusters."""
        tail = (1 - level) / 2
        # The small addend keeps (D + 1) tail = 500 from becoming rank 499 by rounding.
        rank = min(math.floor((len(self.means) + 1) * tail + 1e-6), len(self.means))
        if tail < self.finest or rank < 1:
            return -math.inf, math.inf
        return float(self.means[rank - 1]), float(self.means[-rank])


def flip_signs(values: ArrayLike, clusters: Iterable[Hashable]) -> Flips:
    """Flip the signs of clusters at random.

    Where a number is the true mean and what is above it is as likely as what is below, the values less that
    number may change sign, all of a cluster as one. The share of random flips whose mean is at least the
    observed one is the p-value. A flip beats the number m exactly if the clusters that it turns have a mean of
    at most m, so that the limits are quantiles of the means of random sets of clusters (Hartigan 1969,
    "Using subsample values as typical values").

    Args:
        values: Numbers [n]; computed in float64.
        clusters: The label of each item's cluster, n of them.

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
    return Flips(numbers, count, means, max(1 / (len(means) + 1), 2.0**-count))
