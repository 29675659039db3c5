"""How much more often an edit exchanges two objects than its controls do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.statistics.estimate import Estimate, difference


def compare_with_controls(
    moved: NDArray[np.float64],
    controls: Sequence[NDArray[np.float64]],
    sides: NDArray[np.int64],
    scenes: NDArray[np.str_],
) -> Estimate:
    """How much more often an edit exchanges two objects than the strongest control does.

    An edit that draws every answer to one side moves half of them and exchanges nothing. So each control is
    taken on the side where it moves least, and compared on the trials of that side.

    Args:
        moved: Whether each answer became the other object's, [n].
        controls: The same, or a mean over draws, under each control, [n] each.
        sides: 0 or 1 for each trial, [n].
        scenes: The scene of each trial, by which the interval is clustered, [n].
    """
    compared = []
    for control in controls:
        of = [np.flatnonzero(sides == side) for side in (0, 1)]
        chosen = min((part for part in of if len(part)), key=lambda part: control[part].mean())
        compared.append(
            (moved[chosen].astype(float), control[chosen].astype(float), scenes[chosen])
        )
    edited, control, shown = min(compared, key=lambda c: (c[0] - c[1]).mean())
    return difference(edited, control, shown)
