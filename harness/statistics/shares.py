"""Sums and differences of shares: on the same trials, or on trials that have nothing to do with each other."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from harness.statistics.clusters import find_effective_size, number_clusters, standard_error
from harness.statistics.estimate import Estimate, make_wilson_interval
from harness.statistics.evidence import Evidence

HALVINGS = 53
"""Halvings that find an end of an interval: it lies in [-1, 1], so that rounding is all that is left."""

Sign = Literal[1, -1]


def subtract_shares(
    outcomes_a: ArrayLike, outcomes_b: ArrayLike, clusters: Iterable[Hashable]
) -> Estimate:
    """The share of a less the share of b on the same items, as `net_share` does it.

    Args:
        outcomes_a: Booleans [n].
        outcomes_b: The same items under the other condition, booleans [n].
        clusters: The label of each item's cluster, n of them.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or an outcome is not a boolean.
    """
    a, b = np.asarray(outcomes_a), np.asarray(outcomes_b)
    if a.shape != b.shape:
        raise ValueError(f"paired outcomes must agree in shape: {a.shape} against {b.shape}")
    if any(side.dtype.kind not in "biuf" or not np.isin(side, (0, 1)).all() for side in (a, b)):
        raise ValueError("outcomes must be booleans")
    return net_share(a.astype(np.int64) - b, clusters)


def net_share(changes: ArrayLike, clusters: Iterable[Hashable]) -> Estimate:
    """Share of items won less the share lost, with Tango's score interval at the effective sample size.

    Tango's interval (Statistics in Medicine 1998) holds the differences that a score test does not reject: what
    varies is the share of items that changed at all, and it is fitted anew for each difference. It stays within
    [-1, 1] and has a width also where every item is won, or none changed. Clusters enter as in `proportion`: by
    the design effect, and Student's quantile with clusters - 1 degrees of freedom.

    How often it holds the truth is known by counting (`tests/statistics/test_net_shares.py`): in 93 to 97 of
    100 cases, and more often where almost no item or almost every item changes.

    Args:
        changes: 1 for an item won, -1 for one lost, 0 for one that stayed, [n].
        clusters: The label of each item's cluster, n of them.

    Returns:
        The estimate, in [-1, 1]; its interval is [-1, 1] if all items are in one cluster.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or a change is none of the three.
    """
    labels = clusters if hasattr(clusters, "__len__") else list(clusters)
    values, codes, count = number_clusters(changes, labels, "changes")
    if not np.isin(values, (-1, 0, 1)).all():
        raise ValueError("changes must be 1, 0 or -1")
    n, net, changed = len(values), float(values.mean()), float(np.abs(values).mean())
    found = Evidence(values, tuple(map(str, labels)))
    method = "Tango" + ", clustered" * (count < n)
    if count == 1:
        return Estimate(net, lambda level: (-1.0, 1.0), n, count, method, evidence=found)
    effective = find_effective_size(values, codes, count)

    def interval(level: float) -> tuple[float, float]:
        tail = (1 + abs(level)) / 2
        z = float(ndtri(tail) if count == n else stdtrit(count - 1, tail))
        low = _find_lower_end(net, changed, effective, z)
        high = -_find_lower_end(-net, changed, effective, z)
        return (low, high) if level >= 0 else (high, low)

    return Estimate(net, interval, n, count, method, evidence=found)


def mean_share(shares: ArrayLike, clusters: Iterable[Hashable]) -> Estimate:
    """Mean of one share for each item, such as the part of a list that it finds, with Wilson's interval.

    Right or wrong answers whose mean is m have a variance of m (1 - m), and other numbers in [0, 1] less. If
    the means of clusters have a third of it, each cluster counts as three answers. Their variance is estimated
    as if one more cluster had all of it, so that the interval has a width also where all items are equal.

    Args:
        shares: Numbers in [0, 1], [n].
        clusters: The label of each item's cluster, n of them.

    Returns:
        The estimate, in [0, 1]; its interval is [0, 1] if all items are in one cluster.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or a number is outside [0, 1].
    """
    labels = clusters if hasattr(clusters, "__len__") else list(clusters)
    values, codes, count = number_clusters(shares, labels, "shares")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("shares must lie in [0, 1]")
    n, share = len(values), min(1.0, max(0.0, float(values.mean())))
    found, method = Evidence(values, tuple(map(str, labels))), "Wilson, of shares"
    method += ", clustered" * (count < n)
    if count == 1:
        return Estimate(share, lambda level: (0.0, 1.0), n, count, method, evidence=found)
    most = share * (1 - share) / count
    error = standard_error(values - share, codes, count)
    spread = min(1.0, error**2 / most) if most > 0 else 1.0
    effective = count * (count + 1) / (count * spread + 1)
    interval = make_wilson_interval(share, effective, lambda q: stdtrit(count - 1, q))
    return Estimate(share, interval, n, count, method, evidence=found)


def subtract_mean_shares(
    shares_a: ArrayLike, shares_b: ArrayLike, clusters: Iterable[Hashable]
) -> Estimate:
    """Mean of a less the mean of b on the same items, such as the probability of a word under two edits.

    The differences lie in [-1, 1]; moved into [0, 1] they are shares, and have the interval of `mean_share`.

    Args:
        shares_a: Numbers in [0, 1], [n].
        shares_b: The same items under the other condition, numbers in [0, 1], [n].
        clusters: The label of each item's cluster, n of them.

    Returns:
        The estimate, in [-1, 1]; its interval is [-1, 1] if all items are in one cluster.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or a number is outside [0, 1].
    """
    a, b = np.asarray(shares_a, np.float64), np.asarray(shares_b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"paired shares must agree in shape: {a.shape} against {b.shape}")
    if any(not ((side >= 0) & (side <= 1)).all() for side in (a, b)):
        raise ValueError("shares must lie in [0, 1]")
    labels = clusters if hasattr(clusters, "__len__") else list(clusters)
    moved = mean_share((a - b + 1) / 2, labels)

    def interval(level: float) -> tuple[float, float]:
        low, high = moved.interval(level)
        return 2 * low - 1, 2 * high - 1

    value = float((a - b).mean())
    found = Evidence(a - b, tuple(map(str, labels)))
    method = "Wilson, of differences" + ", clustered" * ("clustered" in moved.method)
    return Estimate(value, interval, moved.n, moved.clusters, method, evidence=found)


def add_shares(shares: Sequence[tuple[Sign, Estimate]], *, n: int, clusters: int) -> Estimate:
    """Add and subtract shares or net shares, each with an interval of its own, by Newcombe's method (1998).

    It squares and adds: each side of the interval is the root of the summed squares of how far the shares reach
    to that side. The sum stays within the limits that the shares have together. Unlike a t interval or a
    bootstrap it keeps its width where an event never happened, as among few trials.

    Args:
        shares: Each with the sign that it enters with; taken as independent.
        n: How many trials, the fewest behind any share.
        clusters: How many scenes, the fewest behind any share.

    Raises:
        ValueError: A share has no value.
    """
    values = [e.value for _, e in shares if e.value is not None]
    if len(values) < len(shares):
        raise ValueError("a share without a value cannot be added")
    value = sum(sign * v for (sign, _), v in zip(shares, values, strict=True))

    def interval(level: float) -> tuple[float, float]:
        down = up = 0.0
        for (sign, estimate), at in zip(shares, values, strict=True):
            low, high = estimate.interval(level)
            below, above = (at - low, high - at) if sign > 0 else (high - at, at - low)
            down, up = math.hypot(down, below), math.hypot(up, above)
        return (value - down, value + up) if level >= 0 else (value + down, value - up)

    return Estimate(float(value), interval, n, clusters, "Newcombe, square and add")


def _find_lower_end(net: float, changed: float, n: float, z: float) -> float:
    """The least difference that lies no more than z standard errors below the one found, in [-1, net].

    Args:
        net: Share of items won less the share lost.
        changed: Share of items won or lost.
        n: How many items.
        z: At least 0.
    """
    low, high, root = -1.0, net, math.sqrt(n)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (net - middle) * root > z * math.sqrt(_fit_variance(middle, net, changed)):
            low = middle
        else:
            high = middle
    return high


def _fit_variance(difference: float, net: float, changed: float) -> float:
    """Variance of one item's change if the difference is true, with as many losses as are likeliest then."""
    linear = (2 - net) * difference - changed
    constant = -(changed - net) / 2 * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear**2 - 8 * constant))
    # The two forms are equal; which one is exact in floats depends on the sign.
    lost = -2 * constant / (linear + root) if linear > 0 else (root - linear) / 4
    return max(0.0, 2 * lost + difference * (1 - difference))
