"""Power: the chance that an effect of a given size is found, and how many trials make it likely.

Where an outcome is a count of independent trials the chance is a sum of binomial probabilities; elsewhere it is
the share of simulated measurements that are found.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import binom

WANTED = 0.9
"""Power that trials are chosen for."""

CLOSE = 1.04
"""A number of trials is found once it is this close, as a ratio, to one that does not suffice."""


def compute_exact_power(share: float, n: int, is_found: Callable[[int], bool]) -> float:
    """Compute the chance that a count of successes is one that is found.

    Args:
        share: True share of successes.
        n: Independent trials.
        is_found: Whether an effect is found at a count, 0 to n. What is found at a count must be found at all
            further ones up to n, or else at all down to 0.
    """
    if is_found(n):
        return float(binom.sf(_find_first(is_found, n) - 1, n, share))
    if is_found(0):
        return float(binom.cdf(n - _find_first(lambda count: is_found(n - count), n), n, share))
    return 0.0


def _find_first(is_found: Callable[[int], bool], n: int) -> int:
    """The smallest count from 0 on that is found; n is found."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_found(middle) else (middle + 1, high)
    return low


def simulate_power(
    is_found: Callable[[np.random.Generator], bool], *, repeats: int, seed: int
) -> float:
    """The share of simulated measurements in which an effect is found.

    Args:
        is_found: Simulates one measurement with the given generator, and says whether the effect is found.
        repeats: How many are simulated.
        seed: Of all of them, so that the same call gives the same share.
    """
    rng = np.random.default_rng(seed)
    return sum(is_found(rng) for _ in range(repeats)) / repeats


def find_trials(
    power: Callable[[int], float], *, start: int, least: int, most: int, wanted: float = WANTED
) -> int | None:
    """Find the number of trials from which on the power is as wanted, within `CLOSE` of the smallest.

    The search assumes that power grows with trials. A number that is returned has that power itself.

    Args:
        power: Of a number of trials.
        start: Where the search begins.
        least: Smallest number that is tried.
        most: Largest number that is tried.
        wanted: The power.

    Returns:
        None if `most` trials do not suffice.
    """
    high = max(least, min(start, most))
    low = least
    if power(high) >= wanted:
        while high > least and power(middle := max(least, math.floor(high / 1.5))) >= wanted:
            high = middle
        if high == least:
            return least
        low = middle
    else:
        while power(high) < wanted:
            if high >= most:
                return None
            low, high = high, min(most, 2 * high)
    while high > CLOSE * low and high - low > 1:
        middle = math.ceil(math.sqrt(low * high))
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return high
