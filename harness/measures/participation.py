"""How many heads share an effect: their participation ratio, without the bias of noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def estimate_participation(
    scores: NDArray[np.float64], scenes: NDArray[np.str_]
) -> tuple[float, NDArray[np.float64]]:
    """The effective share of heads: (sum of squared effects)^2 / (heads x sum of their fourth powers).

    With effects that are equal in some heads and zero in all others, this is the share of these heads. The
    square of a mean score is the squared effect and noise besides, so that a ratio of means would grow with
    fewer trials. Products of scores of two different scenes, and of four, have no such bias: both sums are
    averages over all choices of different scenes (U-statistics).

    Args:
        scores: Mediation score of every head on every trial, [n, L, H].
        scenes: The scene of each trial [n]; trials of one scene are averaged, so that each counts once.

    Returns:
        The share, from 0 to 1 but for noise; and the share without each scene in turn, [C]. NaN where a sum
        is not positive, so that noise hides all effects.

    Raises:
        ValueError: Fewer than five scenes, which leave no four when one is left out.
    """
    labels, index, sizes = np.unique(scenes, return_inverse=True, return_counts=True)
    count = len(labels)
    if count < 5:
        raise ValueError(f"{count} scenes; products of four need five, to leave each out in turn")
    x = np.zeros((count, scores[0].size))
    np.add.at(x, index, scores.reshape(len(scores), -1))
    x /= sizes[:, None]
    # No power of a scaled score leaves the range of floats.
    x /= np.abs(x).max() or 1.0
    squares, squares_without = _sum_products_of_squares(x)
    powers = [(x**k).sum(0) for k in range(1, 5)]
    fourths = _sum_fourfold_products(*powers)
    fourths_without = _sum_fourfold_products(*(p - x**k for k, p in enumerate(powers, 1)))
    # Both sums have as many terms, so that the number of choices cancels.
    share, without = (
        np.divide(a, x.shape[1] * b, out=np.full(a.shape, np.nan), where=(a > 0) & (b > 0))
        for a, b in ((squares, fourths), (squares_without, fourths_without))
    )
    return float(share), without


def _sum_fourfold_products(
    p1: NDArray[np.float64],
    p2: NDArray[np.float64],
    p3: NDArray[np.float64],
    p4: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum over heads of the products of scores of four different scenes, by Newton's identities.

    Args:
        p1: Sum over scenes of the scores, [..., heads].
        p2: The same of their squares.
        p3: Of their third powers.
        p4: Of their fourth powers.

    Returns:
        [...]; each choice of four counted in all its 24 orders.
    """
    each = p1**4 - 6 * p1**2 * p2 + 3 * p2**2 + 8 * p1 * p3 - 6 * p4
    return np.asarray(each.sum(-1))


def _sum_products_of_squares(
    x: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over two heads of the products of scores of two scenes for the one, and of two others for the other.

    Args:
        x: Scores [C, heads].

    Returns:
        [], each choice of four different scenes counted in all its orders; and without each scene [C].
    """
    gram = x @ x.T
    np.fill_diagonal(gram, 0)
    rows, squares = gram.sum(1), (gram**2).sum(1)
    total, all_rows, all_squares = rows.sum(), (rows**2).sum(), squares.sum()
    whole = total**2 - 4 * all_rows + 2 * all_squares
    total_without = total - 2 * rows
    rows_without = all_rows - rows**2 - 2 * gram @ rows + squares
    without = total_without**2 - 4 * rows_without + 2 * (all_squares - 2 * squares)
    return np.asarray(whole), without
