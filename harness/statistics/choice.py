"""Which of several settings is taken where some are as good as the best.

Of settings that move nearly all answers, which one moves most is luck, and with other scenes it is another one.
What is judged by another measure at the setting then jumps from seed to seed, further than its interval tells.
So settings are put in order, from the one that is preferred, and the first is taken that is as good as the best
one, up to one standard error (the rule of Breiman, Friedman, Olshen and Stone, Classification and Regression
Trees, 1984, section 3.4.3).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.statistics.shares import subtract_shares

ONE_ERROR = 0.6827
"""Level of an interval that reaches one standard error to each side."""


def choose_as_good(outcomes: ArrayLike, clusters: Iterable[Hashable]) -> int:
    """Choose the first setting that is not worse than the best one by more than one standard error.

    The error is that of the difference between the two on the same items (`subtract_shares`).

    Args:
        outcomes: Whether each setting succeeds on each item, bool [setting, n], the preferred setting first.
        clusters: The label of each item's cluster, n of them.

    Returns:
        The number of the setting; that of the first one where none succeeds on any item.

    Raises:
        ValueError: There is no setting or no item, or lengths differ.
    """
    won, labels = np.asarray(outcomes, bool), list(clusters)
    if won.ndim != 2 or not won.size:
        raise ValueError(f"outcomes must be [setting, item], at least one of each: {won.shape}")
    best = won[won.mean(1).argmax()]
    return next(n for n, of in enumerate(won) if _is_as_good(of, best, labels))


def _is_as_good(
    outcomes: NDArray[np.bool_], best: NDArray[np.bool_], clusters: Iterable[Hashable]
) -> bool:
    """Whether one setting is within one standard error of the best one, bool [n] each."""
    lead = subtract_shares(best, outcomes, clusters)
    return not lead.value or lead.interval(ONE_ERROR)[0] <= 0
