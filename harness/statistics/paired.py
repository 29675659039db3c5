"""Estimates how much a quantity changed between two runs, and which change they could have shown.

Two runs on the same scenes share what is easy and what is hard about them, so their difference is known better
than either value. Scenes that they do not share are taken as independent.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import binomtest

from harness.statistics.clusters import number_clusters
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, mean, proportion
from harness.statistics.evidence import Evidence
from harness.statistics.shares import net_share

Bounds = tuple[float, float, float]
"""A value with the lower and the upper end of its 95% interval."""

POWER = 0.80
"""Chance with which a detectable difference is found."""


def estimate_change(
    before: Evidence, after: Evidence, value: tuple[float, float], clusters: int
) -> Estimate:
    """Estimate the change of a quantity, its value after less its value before.

    Shares of right items: Tango's interval of the net share of items won (`net_share`) if all items are shared.
    Shares on other scenes, and net shares: their two intervals are combined by Newcombe's square-and-add method
    (1998, method 10) with the correlation of the shared scenes. Means of numbers: the paired mean if all scenes
    are shared, otherwise sums of influence scene by scene. Bootstrap draws: their differences, which are draws
    of the difference, paired where both runs drew the same scenes.

    Args:
        before: Evidence of the baseline's estimate.
        after: Evidence of the run's estimate.
        value: The two values, before and after.
        clusters: Scenes behind the draws, the smaller number of the two runs; not used for items.

    Returns:
        The estimate, in the unit of the two values; `method` says how far it is paired.

    Raises:
        ValueError: One side has items and the other draws, or the numbers of draws differ.
    """
    if (before.scenes is None) != (after.scenes is None):
        raise ValueError("one side has items and the other bootstrap draws")
    if before.scenes is None or after.scenes is None:
        if len(before.values) != len(after.values):
            raise ValueError(f"{len(before.values)} draws against {len(after.values)}")
        draws = after.values - before.values
        found = from_draws(value[1] - value[0], draws, n=len(draws), clusters=clusters)
        return replace(found, method=f"{found.method}, draw by draw")
    same = before.scenes == after.scenes
    if same and before.binary and after.binary:
        found = net_share(after.values - before.values, after.item_scenes)
        return replace(found, method=f"{found.method}, paired")
    if before.counted and after.counted:
        return _combine_shares(before, after)
    if same:
        found = mean(after.values - before.values, after.item_scenes)
        return replace(found, method=f"{found.method}, paired")
    return _subtract_means(before, after)


def mcnemar(before: Evidence, after: Evidence) -> float | None:
    """Exact two-sided p-value that as many items were lost as won; None if items are not paired one by one.

    Each item must be of a scene of its own: prompts about one scene are won and lost together.
    """
    paired = before.binary and after.binary and before.scenes == after.scenes
    if not paired or len(set(before.item_scenes)) < len(before.item_scenes):
        return None
    lost = int(((before.values == 1) & (after.values == 0)).sum())
    won = int(((before.values == 0) & (after.values == 1)).sum())
    return float(binomtest(lost, lost + won, 0.5).pvalue) if lost + won else 1.0


def find_detectable_change(difference: Estimate, level: float = 0.95) -> float:
    """The smallest true change that would be found with `POWER`, in the unit of the difference.

    It follows from the width of the interval, as if the estimate were normal.
    """
    low, high = difference.interval(level)
    reach = float(ndtri((1 + level) / 2))
    return (high - low) / (2 * reach) * (reach + float(ndtri(POWER)))


def count_trials_for(difference: Estimate, wanted: float) -> int | None:
    """Trials that would make a change of `wanted` detectable; None if the interval has no finite width.

    Raises:
        ValueError: `wanted` is not above zero.
    """
    if not wanted > 0:
        raise ValueError(f"the wanted difference is {wanted}; it must be above zero")
    found = find_detectable_change(difference)
    if not math.isfinite(found):
        return None
    return max(1, math.ceil(difference.n * (found / wanted) ** 2))


def _combine_shares(before: Evidence, after: Evidence) -> Estimate:
    """Difference of two shares or net shares: Newcombe's interval with the correlation of the shared scenes."""
    one, other = (
        (proportion if e.binary else net_share)(e.values, e.item_scenes) for e in (before, after)
    )
    a, b = float(before.values.mean()), float(after.values.mean())
    value = b - a
    same = before.scenes == after.scenes
    r = _correlate(before, after)

    def interval(level: float) -> tuple[float, float]:
        (a_low, a_high), (b_low, b_high) = one.interval(level), other.interval(level)
        down = _combine_reaches(b - b_low, a_high - a, r)
        up = _combine_reaches(b_high - b, a - a_low, r)
        return (value - down, value + up) if level >= 0 else (value + down, value - up)

    how = "paired" if same else f"{_count_shared(before, after)} scenes shared"
    return Estimate(
        value,
        interval,
        min(one.n, other.n),
        min(one.clusters, other.clusters),
        f"Newcombe, {how}",
    )


def _combine_reaches(own: float, others: float, r: float) -> float:
    return math.sqrt(max(0.0, own**2 - 2 * r * own * others + others**2))


def _correlate(before: Evidence, after: Evidence) -> float:
    """Correlation of the two shares: that of the shared scenes, less the more scenes are not shared.

    It is corrected for continuity as Newcombe's is: shares that were equal in each of a few scenes need not be
    so in the next, and without the correction their difference would be known exactly.
    """
    one, other = (
        {s: e.values[np.array(e.scenes) == s].mean() for s in dict.fromkeys(e.item_scenes)}
        for e in (before, after)
    )
    common = [s for s in one if s in other]
    a, b = (np.array([side[s] for s in common]) for side in (one, other))
    if len(common) < 3 or a.std() == 0 or b.std() == 0:
        return 0.0
    covariance = float(np.cov(a, b, ddof=0)[0, 1])
    if covariance > 0:
        covariance = max(0.0, covariance - 1 / (2 * len(common)))
    r = covariance / float(a.std() * b.std())
    return r * len(common) / math.sqrt(len(one) * len(other))


def _count_shared(before: Evidence, after: Evidence) -> str:
    a, b = set(before.item_scenes), set(after.item_scenes)
    return f"{len(a & b)} of {len(a | b)}"


def _subtract_means(before: Evidence, after: Evidence) -> Estimate:
    """Difference of two means over items that share some scenes: sums of influence, scene by scene."""
    influence = np.concatenate(
        [
            -(before.values - before.values.mean()) / len(before.values),
            (after.values - after.values.mean()) / len(after.values),
        ]
    )
    numbers, codes, count = number_clusters(
        influence, before.item_scenes + after.item_scenes, "values"
    )
    value = float(after.values.mean() - before.values.mean())
    n = min(len(before.values), len(after.values))
    fewest = min(len(set(before.item_scenes)), len(set(after.item_scenes)))
    method = f"t, clustered, {_count_shared(before, after)} scenes shared"
    if fewest < 2:
        return Estimate(value, lambda level: (-math.inf, math.inf), n, fewest, method)
    sums = np.bincount(codes, weights=numbers, minlength=count)
    error = math.sqrt(count / (count - 1) * float(sums @ sums))

    def interval(level: float) -> tuple[float, float]:
        t = float(stdtrit(fewest - 1, (1 + level) / 2))
        return value - t * error, value + t * error

    return Estimate(value, interval, n, fewest, method)


def from_intervals(before: Bounds, after: Bounds, n: int, clusters: int) -> Estimate:
    """Estimate a change from its two 95% intervals alone, as if they were independent and normal.

    Args:
        before: Value, low and high of the baseline.
        after: Value, low and high of the run.
        n: Trials, the smaller number of the two runs.
        clusters: Scenes, the smaller number of the two runs.
    """
    width = math.hypot(before[2] - before[1], after[2] - after[1])
    error = width / (2 * float(ndtri(0.975)))
    value = after[0] - before[0]

    def interval(level: float) -> tuple[float, float]:
        reach = float(ndtri((1 + level) / 2)) * error
        return value - reach, value + reach

    return Estimate(value, interval, n, clusters, "unpaired, from the two intervals")
