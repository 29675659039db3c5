"""Means whose interval is that of a test by sign flips: whether there is an effect at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from numpy.typing import ArrayLike

from harness.statistics.estimate import Estimate
from harness.statistics.evidence import Evidence
from harness.statistics.signs import flip_signs


def mean_by_flips(values: ArrayLike, clusters: Iterable[Hashable]) -> Estimate:
    """Mean with the interval of all numbers that a two-sided test by sign flips does not reject.

    Args:
        values: Numbers [n]; computed in float64.
        clusters: The label of each item's cluster, n of them.

    Returns:
        The estimate, in the unit of the values, see `flip_signs`. Where the clusters are too few for a level,
        the interval is unbounded.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or a value is not finite.
    """
    labels = clusters if hasattr(clusters, "__len__") else list(clusters)
    found = flip_signs(values, labels)
    n = len(found.numbers)
    return Estimate(
        float(found.numbers.mean()),
        found.interval,
        n,
        found.count,
        "sign flips" + ", clustered" * (found.count < n),
        resolution=found.finest,
        evidence=Evidence(found.numbers, tuple(map(str, labels))),
    )
