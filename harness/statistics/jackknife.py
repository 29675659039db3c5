"""Makes estimates of a positive quantity from its values without each cluster."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from harness.statistics.estimate import Estimate


def from_jackknife(value: float, left_out: ArrayLike, *, n: int) -> Estimate:
    """Make an estimate of a positive quantity, with a t interval on the scale of its logarithm.

    For estimators that a bootstrap would bias, such as those that multiply different items with each other:
    a bootstrap draw holds items twice.

    Args:
        value: The quantity on all clusters.
        left_out: The quantity without each cluster in turn, [C]; at least two.
        n: How many items there are.

    Raises:
        ValueError: Fewer than two clusters, or a number is not positive and finite.
    """
    others = np.asarray(left_out, np.float64)
    if others.ndim != 1 or len(others) < 2:
        raise ValueError(f"at least two clusters are needed; left out: shape {others.shape}")
    if not (np.isfinite(others).all() and (others > 0).all() and 0 < value < math.inf):
        raise ValueError("a number is not positive and finite, and has no logarithm")
    logs, count = np.log(others), len(others)
    error = math.sqrt((count - 1) / count * float(((logs - logs.mean()) ** 2).sum()))

    def interval(level: float) -> tuple[float, float]:
        # Rounding of the logarithm must not put the value outside of an interval without width.
        reach = error * float(stdtrit(count - 1, (1 + level) / 2))
        return value * math.exp(-reach), value * math.exp(reach)

    return Estimate(float(value), interval, n, count, "jackknife over scenes, logarithmic")
