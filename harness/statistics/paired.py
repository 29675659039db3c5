"""How much a quantity changed between two runs, and what change the two could have shown.

Two runs on the same scenes share what is easy and what is hard about them: their difference is known better
than either. What they do not share is taken as independent.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import binomtest

from harness.statistics.clusters import clustered
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, mean, proportion
from harness.statistics.evidence import Evidence

Bounds = tuple[float, float, float]
"""A value with the ends of its 95% interval."""

POWER = 0.80
"""Chance with which a detectable difference is found."""


def change(
    before: Evidence, after: Evidence, value: tuple[float, float], clusters: int
) -> Estimate:
    """The quantity after less before.

    Items of the same scenes: right or wrong, Newcombe's (1998, method 10) square-and-add of the two clustered
    Wilson intervals with the items' correlation; numbers, the paired mean. Items of which only some scenes
    are shared: the same with what the shared scenes tell. Draws: their differences, which are draws of the
    difference, paired where both runs drew the same scenes.

    Args:
        before: What the baseline's estimate was made of.
        after: The same for the run.
        value: The two estimates, before and after.
        clusters: Scenes behind the draws, the smaller of the two; items bring their own.

    Returns:
        The estimate, in the unit of the two values; `method` says how far it is paired.

    Raises:
        ValueError: One side has items and the other draws, or numbers of draws differ.
    """
    if (before.scenes is None) != (after.scenes is None):
        raise ValueError("one side has items and the other bootstrap draws")
    if before.scenes is None or after.scenes is None:
        if len(before.values) != len(after.values):
            raise ValueError(f"{len(before.values)} draws against {len(after.values)}")
        draws = after.values - before.values
        found = from_draws(value[1] - value[0], draws, n=len(draws), clusters=clusters)
        return replace(found, method=f"{found.method}, draw by draw")
    if before.binary and after.binary:
        return _shares(before, after)
    if before.scenes == after.scenes:
        found = mean(after.values - before.values, after.scenes)
        return replace(found, method=f"{found.method}, paired")
    return _means(before, after)


def mcnemar(before: Evidence, after: Evidence) -> float | None:
    """Exact two-sided p-value that as many items were lost as won; None if items are not paired one by one.

    Each item must be of a scene of its own: prompts about one scene are won and lost together.
    """
    paired = before.binary and after.binary and before.scenes == after.scenes
    if not paired or len(set(before.scenes)) < len(before.scenes):
        return None
    lost = int(((before.values == 1) & (after.values == 0)).sum())
    won = int(((before.values == 0) & (after.values == 1)).sum())
    return float(binomtest(lost, lost + won, 0.5).pvalue) if lost + won else 1.0


def detectable(difference: Estimate, level: float = 0.95) -> float:
    """The smallest true change that would be found with `POWER`, in the unit of the difference.

    From the width of its interval, as if the estimate were normal.
    """
    low, high = difference.interval(level)
    reach = float(ndtri((1 + level) / 2))
    return (high - low) / (2 * reach) * (reach + float(ndtri(POWER)))


def trials_for(difference: Estimate, wanted: float) -> int | None:
    """Trials that would make a change of `wanted` detectable; None where no number can be had.

    Raises:
        ValueError: `wanted` is not above zero.
    """
    if not wanted > 0:
        raise ValueError(f"the wanted difference is {wanted}; it must be above zero")
    found = detectable(difference)
    if not math.isfinite(found):
        return None
    return max(1, math.ceil(difference.n * (found / wanted) ** 2))


def _shares(before: Evidence, after: Evidence) -> Estimate:
    one, other = (proportion(e.values.astype(bool), e.scenes) for e in (before, after))
    same = before.scenes == after.scenes
    r = _correlation(before, after)

    def interval(level: float) -> tuple[float, float]:
        (a_low, a_high), (b_low, b_high) = one.interval(level), other.interval(level)
        a, b = one.value, other.value
        value = b - a
        down = _reach(b - b_low, a_high - a, r)
        up = _reach(b_high - b, a - a_low, r)
        return (value - down, value + up) if level >= 0 else (value + down, value - up)

    how = "paired" if same else f"{_shared(before, after)} scenes shared"
    return Estimate(
        other.value - one.value,
        interval,
        min(one.n, other.n),
        min(one.clusters, other.clusters),
        f"Newcombe, {how}",
    )


def _reach(own: float, others: float, r: float) -> float:
    return math.sqrt(max(0.0, own**2 - 2 * r * own * others + others**2))


def _correlation(before: Evidence, after: Evidence) -> float:
    """Correlation of the two shares: that of the shared scenes, as far as the scenes are shared."""
    one, other = (
        {s: e.values[np.array(e.scenes) == s].mean() for s in dict.fromkeys(e.scenes)}
        for e in (before, after)
    )
    common = [s for s in one if s in other]
    a, b = (np.array([side[s] for s in common]) for side in (one, other))
    if len(common) < 3 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1]) * len(common) / math.sqrt(len(one) * len(other))


def _shared(before: Evidence, after: Evidence) -> str:
    a, b = set(before.scenes), set(after.scenes)
    return f"{len(a & b)} of {len(a | b)}"


def _means(before: Evidence, after: Evidence) -> Estimate:
    """Difference of two means over items that share some scenes: sums of influence, scene by scene."""
    influence = np.concatenate(
        [
            -(before.values - before.values.mean()) / len(before.values),
            (after.values - after.values.mean()) / len(after.values),
        ]
    )
    numbers, codes, count = clustered(influence, before.scenes + after.scenes, "values")
    value = float(after.values.mean() - before.values.mean())
    n = min(len(before.values), len(after.values))
    fewest = min(len(set(before.scenes)), len(set(after.scenes)))
    method = f"t, clustered, {_shared(before, after)} scenes shared"
    if fewest < 2:
        return Estimate(value, lambda level: (-math.inf, math.inf), n, fewest, method)
    sums = np.bincount(codes, weights=numbers, minlength=count)
    error = math.sqrt(count / (count - 1) * float(sums @ sums))

    def interval(level: float) -> tuple[float, float]:
        t = float(stdtrit(fewest - 1, (1 + level) / 2))
        return value - t * error, value + t * error

    return Estimate(value, interval, n, fewest, method)


def from_intervals(before: Bounds, after: Bounds, n: int, clusters: int) -> Estimate:
    """The change of which only the two 95% intervals are known: as if independent and normal.

    Args:
        before: Value, low and high of the baseline.
        after: Value, low and high of the run.
        n: Trials, the smaller of the two.
        clusters: Scenes, the smaller of the two.
    """
    width = math.hypot(before[2] - before[1], after[2] - after[1])
    error = width / (2 * float(ndtri(0.975)))
    value = after[0] - before[0]

    def interval(level: float) -> tuple[float, float]:
        reach = float(ndtri((1 + level) / 2)) * error
        return value - reach, value + reach

    return Estimate(value, interval, n, clusters, "unpaired, from the two intervals")
