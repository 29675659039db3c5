"""Partial correlation: what two things share beyond what both share with a third."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def correlate_partially(xy: ArrayLike, xz: ArrayLike, yz: ArrayLike) -> NDArray[np.float64]:
    """Partial correlation of x and y given z, from the three correlations.

    Relative and absolute positions are correlated with each other, so that a code of one alone correlates
    with both (protocol, E4).

    Args:
        xy: Correlation of x and y, any shape.
        xz: Correlation of x and z.
        yz: Correlation of y and z; shapes broadcast.

    Returns:
        Partial r, between -1 and 1; NaN where z determines one of the two.
    """
    a, b, c = (np.asarray(r, np.float64) for r in (xy, xz, yz))
    left = np.clip(1 - b**2, 0, None) * np.clip(1 - c**2, 0, None)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(np.where(left > 1e-12, (a - b * c) / np.sqrt(left), np.nan), -1, 1)
