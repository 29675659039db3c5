"""Estimates with intervals that cluster by scene.

Prompts about the same scene are not independent: an interval that ignores this covers the truth far
less often than it says. Every function here therefore asks for the cluster of each item.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import false_discovery_control

from harness.statistics.clusters import find_effective_size, number_clusters, standard_error
from harness.statistics.evidence import Evidence

Direction = Literal["above", "below"]

MINIMUM_CLUSTERS = 12
"""Below this, the between-cluster variance is too poorly known for any verdict but inconclusive.

With 8 or 10 scenes that are mostly all right or all wrong, a 95% interval of a share holds the truth in 92.5
of 100 cases; with 12 it is 93.5 (`harness.calibration.coverage`).
"""


@dataclass(frozen=True)
class _CheckedInterval:
    """A function from a confidence level to (low, high) that refuses levels that are none."""

    compute: Callable[[float], tuple[float, float]]

    def __call__(self, level: float) -> tuple[float, float]:
        # Written so that NaN is refused as well.
        if not -1 <= level <= 1:
            bound = "above -1" if level < -1 else "below 1"
            raise ValueError(f"level is {level}; it must lie {bound}, such as 0.95")
        return self.compute(level)


@dataclass(frozen=True)
class Estimate:
    """A quantity with its uncertainty.

    Attributes:
        value: The estimate; None when the quantity does not exist for the subject.
        interval: Function from a confidence level to (low, high). For p-values above one half it is called
            with levels below zero, where the two bounds cross, as one-sided bounds do. A level outside
            [-1, 1], such as 95 for 95%, is a ValueError.
        n: How many items (trials) it rests on.
        clusters: How many independent clusters (scenes) the items come from.
        method: How the interval was made, in words.
        reason: Why there is no value; required when there is none.
        resolution: The smallest p-value that the method can tell from zero.
        settled: False if the data do not tell whether the quantity exists; only without a value.
        applies: False if the question has no meaning for the subject; only without a value.
        evidence: The items or draws it was made of; None where it cannot be compared scene by scene.

    Raises:
        ValueError: The value is None and no reason is given.
    """

    value: float | None
    interval: Callable[[float], tuple[float, float]] = field(repr=False)
    n: int
    clusters: int
    method: str
    reason: str = ""
    resolution: float = 1e-9
    settled: bool = True
    applies: bool = True
    evidence: Evidence | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.value is None and not self.reason.strip():
            raise ValueError("an estimate without a value needs a reason")
        if not isinstance(self.interval, _CheckedInterval):
            object.__setattr__(self, "interval", _CheckedInterval(self.interval))

    @classmethod
    def absent(cls, reason: str, n: int = 0, clusters: int = 0) -> Estimate:
        """An estimate of something that the subject does not have, with the reason."""
        return cls(None, lambda level: (math.nan, math.nan), n, clusters, "none", reason)

    @classmethod
    def unsettled(cls, reason: str, n: int = 0, clusters: int = 0) -> Estimate:
        """An estimate of something that the subject may or may not have: the data do not tell."""
        unknown = cls.absent(reason, n, clusters)
        return replace(unknown, settled=False)

    @classmethod
    def inapplicable(cls, reason: str, n: int = 0, clusters: int = 0) -> Estimate:
        """An estimate of something that has no meaning for the subject, such as a gain if nothing is wrong."""
        return replace(cls.absent(reason, n, clusters), applies=False)

    def p_value(self, threshold: float, direction: Direction) -> float:
        """One-sided p-value by duality with the interval.

        The smallest alpha at which the interval of level 1 - 2 alpha lies strictly on the claimed
        side of the threshold, found by bisection. So p < 0.025 exactly when the 95% interval does.

        Args:
            threshold: In the unit of the value.
            direction: "above" or "below".

        Returns:
            A number in [resolution, 1]; 1 when there is no value or the interval is NaN.

        Raises:
            ValueError: The direction is neither "above" nor "below".
        """
        if direction not in ("above", "below"):
            raise ValueError(f"direction is {direction!r}; it must be 'above' or 'below'")
        if self.value is None:
            return 1.0

        def excludes(alpha: float) -> bool:
            low, high = self.interval(1 - 2 * alpha)
            return low > threshold if direction == "above" else high < threshold

        small, large = self.resolution, 1 - 1e-9
        if excludes(small):
            return small
        if not excludes(large):
            return 1.0
        while large / small > 1 + 1e-9:
            middle = math.sqrt(small * large)
            small, large = (small, middle) if excludes(middle) else (middle, large)
        return large


def proportion(successes: ArrayLike, clusters: Iterable[Hashable]) -> Estimate:
    """Share of successes, with a Wilson score interval at the effective sample size.

    With one item per cluster this is the plain Wilson interval. Otherwise the sample size is
    divided by the design effect (the between-cluster variance over the variance of independent
    items, at least 1) and, since that was estimated from the clusters, the normal quantile is
    replaced by Student's with clusters - 1 degrees of freedom (Korn and Graubard 1998). When all
    outcomes are equal the design effect cannot be estimated and each cluster counts as one item.

    Args:
        successes: Booleans [n].
        clusters: The label of each item's cluster, n of them.

    Returns:
        The estimate, a fraction in [0, 1]; its interval is [0, 1] if all items are in one cluster.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or an outcome is not a
            boolean.
    """
    outcomes, clusters = np.asarray(successes), _keep_labels(clusters)
    if outcomes.dtype.kind not in "biuf" or not np.isin(outcomes, (0, 1)).all():
        raise ValueError("successes must be booleans")
    values, codes, count = number_clusters(outcomes, clusters, "successes")
    n, share = len(values), float(values.mean())
    found = Evidence(values, tuple(map(str, clusters)))
    if count == n:
        return Estimate(
            share, make_wilson_interval(share, n, ndtri), n, count, "Wilson", evidence=found
        )
    method = "Wilson, clustered"
    if count == 1:
        return Estimate(share, lambda level: (0.0, 1.0), n, count, method, evidence=found)
    effective = find_effective_size(values, codes, count)
    interval = make_wilson_interval(share, effective, lambda q: stdtrit(count - 1, q))
    return Estimate(share, interval, n, count, method, evidence=found)


def mean(values: ArrayLike, clusters: Iterable[Hashable]) -> Estimate:
    """Mean of numbers without limits: a cluster-robust t interval (CR1), corrected for skewness.

    It is for scores, such as logits. Shares and their differences have limits that it does not know, and where
    all items are equal it has no width: they are for `proportion` and `harness.statistics.shares`.

    Scores of single heads have long tails on the side where a patch works, and a symmetric interval then lies
    too low. The correction is Hall's transformation of t (1992), with the skewness of the clusters' sums.

    Args:
        values: Numbers [n]; computed in float64.
        clusters: The label of each item's cluster, n of them.

    Returns:
        The estimate, in the unit of the values. With a single cluster the interval is unbounded.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or a value is not finite.
    """
    clusters = _keep_labels(clusters)
    numbers, codes, count = number_clusters(values, clusters, "values")
    centre, n = float(numbers.mean()), len(numbers)
    found = Evidence(numbers, tuple(map(str, clusters)))
    method = "skew-corrected t" + ", clustered" * (count < n)
    if count == 1:
        unknown = (-math.inf, math.inf)
        return Estimate(centre, lambda level: unknown, n, 1, method, evidence=found)
    error = standard_error(numbers - centre, codes, count)
    sums = np.bincount(codes, weights=numbers - centre, minlength=count)
    # Sums that differ only by rounding have no skewness; scaled to at most 1, none leaves the range of floats.
    spread = float(np.abs(sums).max()) if error > 1e-12 * abs(centre) else 0.0
    unit = sums / spread if spread else sums
    skew = float((unit**3).mean() / (unit**2).mean() ** 1.5 / math.sqrt(count)) if spread else 0.0

    def interval(level: float) -> tuple[float, float]:
        t = float(stdtrit(count - 1, (1 + level) / 2))
        low = centre - _invert_hall_transform(t, skew) * error
        high = centre - _invert_hall_transform(-t, skew) * error
        return low, high

    return Estimate(centre, interval, n, count, method, evidence=found)


def adjust_p_values(p_values: ArrayLike) -> NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values, in the order given.

    Raises:
        ValueError: A p-value is NaN or outside [0, 1].
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if not ((raw >= 0) & (raw <= 1)).all():
        raise ValueError("p-values must lie in [0, 1]")
    return false_discovery_control(raw, method="bh") if raw.size else raw


def _keep_labels(labels: Iterable[Hashable]) -> Iterable[Hashable]:
    # Labels are read twice, which an iterator cannot be.
    return labels if hasattr(labels, "__len__") else list(labels)


def make_wilson_interval(
    share: float, n: float, quantile: Callable[[float], float]
) -> Callable[[float], tuple[float, float]]:
    """Make Wilson's score interval of a share: the function from a level to its two ends.

    Args:
        share: In [0, 1].
        n: How many independent items it rests on.
        quantile: Quantile function of the normal distribution or of Student's.
    """

    def interval(level: float) -> tuple[float, float]:
        z = float(quantile((1 + level) / 2))
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        reach = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) / (1 + z * z / n)
        low, high = centre - reach, centre + reach
        # At the ends one bound is the share itself; rounding must not put it outside [0, 1].
        if share == 0.0:
            low, high = (0.0, high) if z >= 0 else (low, 0.0)
        if share == 1.0:
            low, high = (low, 1.0) if z >= 0 else (1.0, high)
        return low, high

    return interval


def _invert_hall_transform(t: float, skew: float) -> float:
    """Find the number that Hall's cubic transform maps to `t`.

    Args:
        t: A quantile of Student's distribution.
        skew: The skewness of the clusters' sums over the square root of the number of clusters.
    """
    if abs(skew) < 1e-6:
        return t
    return 3 / skew * (math.cbrt(1 + skew * (t - skew / 6)) - 1)
