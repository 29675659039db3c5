"""Whether the position that the last token points to can be read at all; else nothing follows from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.readings.reading import count_trials
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, proportion
from harness.statistics.looks import Look

CELLS = 9
"""Number of cells of the grid: a decoder that guesses is right in one of nine trials."""


def explain_unreadable(
    held: NDArray[np.bool_], decoded: NDArray[np.bool_], scenes: NDArray[np.str_], look: Look
) -> Estimate | None:
    """Why decoded positions tell nothing; None if the decoder beats chance on clear trials it never saw.

    Args:
        held: Which clear trials test it, [n]: answered right, and no part of what it learned.
        decoded: Which of them it decodes to their target, [n].
        scenes: The scene of each, [n].
        look: The look whose level the interval has.
    """
    of, sizes = scenes[held], count_trials(scenes[held])
    if sizes["clusters"] < MINIMUM_CLUSTERS:
        return Estimate.unsettled(
            f"only {sizes['clusters']} clear scenes that are answered right test whether the position at the "
            "last token can be read: raise --trials",
            **sizes,
        )
    share = proportion(decoded[held], of)
    low, high = share.interval(look.level)
    if low > 1 / CELLS:
        return None
    reason = (
        f"the position at the last token is read right in {share.value:.2f} [{low:.2f}, {high:.2f}] of clear "
        f"scenes, where chance is {1 / CELLS:.2f}: it tells nothing of errors"
    )
    # A decoder that is right in less than a third of all scenes would tell little of single errors either.
    missing = Estimate.inapplicable if high < 3 / CELLS else Estimate.unsettled
    return missing(reason, **sizes)
