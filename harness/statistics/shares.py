"""Sums and differences of shares that were counted on different trials, or of trials that cannot be both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from harness.statistics.estimate import Estimate

Sign = Literal[1, -1]


def add_shares(shares: Sequence[tuple[Sign, Estimate]], *, n: int, clusters: int) -> Estimate:
    """Add and subtract shares, each with an interval of its own, by Newcombe's square-and-add method (1998).

    Each side of the interval is the root of the summed squares of how far the shares reach to that side.
    Unlike a t interval or a bootstrap it keeps its width where an event never happened, as among few trials.

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
