"""How much more often an edit exchanges two objects than its controls do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.statistics.estimate import Estimate
from harness.statistics.least import take_least
from harness.statistics.shares import subtract_shares


def compare_with_controls(
    moved: NDArray[np.bool_],
    *,
    drawn: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    sides: NDArray[np.int64],
    scenes: NDArray[np.str_],
) -> Estimate:
    """How much more often an edit exchanges two objects than the stronger of two controls does.

    An edit that draws every answer to one side moves half of them and exchanges nothing. So a control that is
    the same for all trials is taken on the side where it moves least, and compared on the trials of that
    side. One that is drawn anew for each scene draws to no side, and is compared on all trials.

    Args:
        moved: Whether each answer became the other object's, [n].
        drawn: The same under a control that every scene has a draw of its own of, [n].
        fixed: The same under a control that is the same for all trials, [n].
        sides: 0 or 1 for each trial, [n].
        scenes: The scene of each trial, by which the interval is clustered, [n].

    Returns:
        The lesser of the two differences of shares; its interval knows that it was chosen (`take_least`).
    """
    of = [part for side in (0, 1) if (part := sides == side).any()]
    least = min(of, key=lambda part: float(fixed[part].mean()))
    return take_least(
        [
            subtract_shares(moved, drawn, scenes),
            subtract_shares(moved[least], fixed[least], scenes[least]),
        ]
    )
