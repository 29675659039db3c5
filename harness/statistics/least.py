"""Estimates the least of several quantities, with an interval that knows that it was chosen among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.statistics.estimate import Estimate


def take_least(estimates: Sequence[Estimate]) -> Estimate:
    """Make one estimate of the smallest among several quantities that share scenes.

    The lower end is the lowest of all lower ends: it lies above the least quantity only if that quantity's own
    interval does (intersection-union; Berger 1982). The upper end is the lowest of all upper ends, each at a
    level that shares the error out among them (Bonferroni), since any of them may come out too low. So the
    interval holds the least quantity at least as often as its level says, however the estimates depend on
    each other.

    Args:
        estimates: One or more, all with values.

    Returns:
        The estimate; value, `n` and evidence are those of the least, `clusters` is the fewest of all.

    Raises:
        ValueError: There are none, or one has no value.
    """
    if not estimates:
        raise ValueError("there is nothing to take the least of")
    valued = [(e.value, e) for e in estimates if e.value is not None]
    if len(valued) < len(estimates):
        raise ValueError("an estimate without a value cannot be compared with others")
    _, least = min(valued, key=lambda v: v[0])
    if len(estimates) == 1:
        return least

    def interval(level: float) -> tuple[float, float]:
        shared = 1 - (1 - level) / len(estimates)
        low = min(e.interval(level)[0] for e in estimates)
        return low, min(e.interval(shared)[1] for e in estimates)

    return replace(
        least,
        interval=interval,
        clusters=min(e.clusters for e in estimates),
        method=f"{least.method}, the least of {len(estimates)}",
        resolution=max(e.resolution for e in estimates),
    )
