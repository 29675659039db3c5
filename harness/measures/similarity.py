"""Representational similarity analysis (Assouel et al. 2026, section 3.3 and appendix A.2).

A representational similarity matrix (RSM) says how alike each two items are: to the model, by the
cosine of its activations, or in truth, by position or by features. RSA is the Pearson correlation
of two RSMs over their pairs of items, pooled over token slots. Pairs that share an item are not
independent, so a p-value from their number is far too small; items are resampled or permuted.

Shapes: L layers, S token slots, n items (trials), d dimensions, D bootstrap draws, P permutations.
RSMs are symmetric; only what lies strictly below the diagonal is read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CONSTANT = 1e-13
"""Spread below which similarities, which are of size 1, differ by rounding alone."""

_CHUNK = 500_000
"""Pairs of permuted targets held at once in `mantel_null`."""


def cosine_rsm(activations: ArrayLike) -> NDArray[np.float64]:
    """Cosine similarity of every two items.

    Args:
        activations: [..., n, d]; leading axes (layer, token slot) are kept.

    Returns:
        [..., n, n], between -1 and 1.

    Raises:
        ValueError: An activation is zero, so that it has no direction, or not finite.
    """
    x = np.asarray(activations, np.float64)
    if not np.isfinite(x).all():
        raise ValueError("activations are not finite")
    largest = np.abs(x).max(-1, keepdims=True, initial=0)
    if not largest.all():
        where = tuple(int(i) for i in np.argwhere(largest[..., 0] == 0)[0])
        raise ValueError(f"the activation at {where} is zero: it has no cosine with any other")
    # Squares of very small or large activations would leave the range of float64.
    x = x / largest
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.clip(x @ np.swapaxes(x, -1, -2), -1, 1)


def position_rsm(xy: ArrayLike) -> NDArray[np.float64]:
    """One minus the distance of two items' positions, as a share of the largest distance.

    Args:
        xy: [..., n, 2], any unit. Slots handed in together share one largest distance, so that a
            distance counts the same in each.

    Returns:
        [..., n, n], from 1 (same place) to 0 (farthest apart).

    Raises:
        ValueError: All items are in the same place, or a position is not finite.
    """
    points = np.asarray(xy, np.float64)
    if points.ndim < 2 or points.shape[-1] != 2:
        raise ValueError(f"positions are (x, y) of n items, [..., n, 2]; got shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("positions are not finite")
    distance = np.linalg.norm(points[..., :, None, :] - points[..., None, :, :], axis=-1)
    farthest = distance.max(initial=0)
    if farthest == 0:
        raise ValueError("all items are in the same place: there is no largest distance")
    return 1 - distance / farthest


def feature_rsm(colors: ArrayLike, shapes: ArrayLike) -> NDArray[np.float64]:
    """Share of the two features, color and shape, that two items have in common.

    Args:
        colors: Labels of any type, [..., n].
        shapes: Labels of any type, [..., n].

    Returns:
        [..., n, n]: 0, 0.5 or 1.

    Raises:
        ValueError: The two differ in shape.
    """
    colors, shapes = np.asarray(colors), np.asarray(shapes)
    if colors.shape != shapes.shape:
        raise ValueError(f"colors have shape {colors.shape} but shapes have {shapes.shape}")
    matches = [labels[..., :, None] == labels[..., None, :] for labels in (colors, shapes)]
    return np.mean(matches, axis=0)


def rsa(
    model: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    scenes: ArrayLike | None = None,
) -> float:
    """Pearson correlation of two RSMs over their pairs of items, all slots in one vector.

    Args:
        model: [S, n, n].
        target: [S, n, n].
        weights: How often each item was drawn in a bootstrap, [n]; pair (i, j) then counts
            `weights[i] * weights[j]` times. An item's pairs with its own copies are left out: they
            are alike by construction. None counts each item once.
        scenes: The scene of each item, [n]; pairs of one scene are left out. None counts all pairs.

    Returns:
        r; NaN when either side is constant over the pairs that count.

    Raises:
        ValueError: Shapes do not fit, or weights are negative or not finite.
    """
    x, y = _check_rsms(model, target, ndim=3)
    rows, columns = np.tril_indices(x.shape[-1], -1)
    once = np.ones(x.shape[-1]) if weights is None else _check_weights(weights, x.shape[-1:])
    counts = np.tile(
        once[rows] * once[columns] * _mark_pairs(scenes, x.shape[-1])[rows, columns], x.shape[0]
    )
    drawn = counts > 0
    counts = counts[drawn]
    if not counts.size:
        return float("nan")
    x, y = (_standardise(side[:, rows, columns].reshape(-1)[drawn], counts) for side in (x, y))
    return float(np.clip((counts * x) @ y, -1, 1))


def rsa_draws(
    model: ArrayLike, target: ArrayLike, weights: ArrayLike, scenes: ArrayLike | None = None
) -> NDArray[np.float64]:
    """`rsa` of every layer under every bootstrap draw.

    Every sum over weighted pairs is a quadratic form w'Mw, so no resampled RSM is ever built.

    Args:
        model: [L, S, n, n].
        target: [S, n, n].
        weights: How often each item was drawn, [D, n].
        scenes: As in `rsa`.

    Returns:
        r [D, L]; NaN where a draw leaves either side constant.

    Raises:
        ValueError: As `rsa`.
    """
    layers, targets = _check_rsms(model, target, ndim=4)
    n = targets.shape[-1]
    w = _check_weights(weights, (np.shape(weights)[0] if np.ndim(weights) else 0, n))
    below = np.tri(n, k=-1, dtype=bool) & _mark_pairs(scenes, n)

    def total(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((w @ matrix) * w).sum(-1)

    result = np.full((len(w), len(layers)), np.nan)
    count = total(below.astype(np.float64)) * len(targets)
    y = _centre(targets, below) if below.any() else None
    if y is None:
        return result
    y_sum, y_square = total(y.sum(0)), total((y * y).sum(0))
    for index, layer in enumerate(layers):
        x = _centre(layer, below)
        if x is None:
            continue
        x_sum, x_square, product = (total(m.sum(0)) for m in (x, x * x, x * y))
        with np.errstate(invalid="ignore", divide="ignore"):
            covariance = product / count - (x_sum / count) * (y_sum / count)
            x_variance = _variance(x_sum / count, x_square / count)
            y_variance = _variance(y_sum / count, y_square / count)
            result[:, index] = covariance / np.sqrt(x_variance * y_variance)
    return np.clip(result, -1, 1)


def mantel_null(
    model: ArrayLike,
    target: ArrayLike,
    permutations: int,
    rng: np.random.Generator,
    scenes: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """RSA of every layer when the target's item labels are permuted (Mantel 1967).

    One permutation serves all layers and slots, so that its maximum over layers is a draw of the
    maximum statistic: "some layer" can be tested at the level it says. Items must be exchangeable
    when the model ignores the target; trials that share a scene are so only in part.

    Args:
        model: [L, S, n, n].
        target: [S, n, n].
        permutations: How many, P. With p = (1 + number at least as high) / (P + 1), 999 is usual.
        rng: Source of the permutations.
        scenes: As in `rsa`; the pairs that are left out stay the same when labels are permuted.

    Returns:
        r [P, L]; NaN for a layer that is constant, in every row.

    Raises:
        ValueError: Shapes do not fit, or fewer than one permutation.
    """
    if permutations < 1:
        raise ValueError(f"a permutation test needs permutations, got {permutations}")
    layers, y = _check_rsms(model, target, ndim=4)
    n = y.shape[-1]
    rows, columns = np.nonzero(np.tri(n, k=-1, dtype=bool) & _mark_pairs(scenes, n))
    x = np.stack([_standardise(layer[:, rows, columns].reshape(-1)) for layer in layers])
    # A permuted pair may fall above the diagonal, which is never read as given.
    symmetric = np.tril(y, -1)
    symmetric += np.swapaxes(symmetric, -1, -2)
    # With the mean of counted pairs at 0 the spread of a permutation is no small difference of large numbers.
    flat = symmetric.reshape(len(y), -1)
    flat -= flat[:, rows * n + columns].mean()
    constant = _CONSTANT * _find_size(y) * np.sqrt(x.shape[-1])
    null = np.empty((permutations, len(layers)))
    size = max(1, _CHUNK // max(1, x.shape[-1]))
    for start in range(0, permutations, size):
        stop = min(start + size, permutations)
        orders = [rng.permutation(n) for _ in range(start, stop)]
        drawn = np.empty((len(orders), len(flat), len(rows)))
        for order, into in zip(orders, drawn, strict=True):
            # Clipping spares a check of every index; all are inside.
            flat.take(order[rows] * n + order[columns], axis=1, mode="clip", out=into)
        pairs = drawn.reshape(len(orders), -1)
        square = np.einsum("cp,cp->c", pairs, pairs) - pairs.sum(1) ** 2 / pairs.shape[1]
        near = square < 1e-9 * np.einsum("cp,cp->c", pairs, pairs)
        # For permutations that are almost constant that difference would be rounding.
        square[near] = pairs[near].var(1) * pairs.shape[1]
        spread = np.sqrt(np.clip(square, 0, None))
        # Each layer's pairs have mean 0, so the mean of the permuted ones need not be subtracted.
        null[start:stop] = pairs @ x.T / np.where(spread > constant, spread, np.nan)[:, None]
    return np.clip(null, -1, 1)


def find_peak(curve: ArrayLike) -> int:
    """The layer where a curve is highest; of several, the first.

    Args:
        curve: [L]; NaN, where a layer was constant, is skipped.

    Raises:
        ValueError: Not one curve, or no layer has a value.
    """
    values = np.asarray(curve, np.float64)
    if values.ndim != 1 or np.isnan(values).all():
        raise ValueError(f"no peak in a curve of shape {values.shape} without any value")
    return int(np.nanargmax(values))


def _mark_pairs(scenes: ArrayLike | None, n: int) -> NDArray[np.bool_]:
    """Mark the pairs of items that count, those of different scenes, bool [n, n]."""
    if scenes is None:
        return np.ones((n, n), bool)
    labels = np.asarray(scenes)
    if labels.shape != (n,):
        raise ValueError(
            f"scenes have shape {labels.shape}; one label for each of {n} items is needed"
        )
    return labels[:, None] != labels[None, :]


def _check_rsms(
    model: ArrayLike, target: ArrayLike, ndim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(model, np.float64), np.asarray(target, np.float64)
    if x.ndim != ndim or y.ndim != 3 or x.shape[-3:] != y.shape or y.shape[-1] != y.shape[-2]:
        wanted = "[S, n, n]" if ndim == 3 else "[L, S, n, n]"
        raise ValueError(
            f"the model's RSMs are {wanted} and the target's [S, n, n]; got {x.shape} and {y.shape}"
        )
    if y.shape[-1] < 2 or not y.size:
        raise ValueError(f"RSMs of shape {y.shape} have no pair of items to compare")
    return x, y


def _check_weights(weights: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    w = np.asarray(weights, np.float64)
    if w.shape != shape:
        raise ValueError(f"weights have shape {w.shape}; {shape} was expected, the last axis items")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("weights count how often an item was drawn: finite and not negative")
    return w


def _standardise(
    values: NDArray[np.float64], counts: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Shift and scale to (weighted) mean 0 and sum of squares 1; NaN if constant."""
    counts = np.ones(values.shape) if counts is None else counts
    centred = values - np.average(values, weights=counts)
    spread = np.sqrt(counts @ centred**2)
    if not spread > _CONSTANT * _find_size(values) * np.sqrt(counts.sum()):
        return np.full(values.shape, np.nan)
    return centred / spread


def _centre(rsms: NDArray[np.float64], below: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Subtract the mean below the diagonal and set all else to 0, [S, n, n]; None if constant there."""
    values = rsms[:, below]
    centred = values - values.mean()
    # Without this shift the difference of two large sums would drown the variance in rounding.
    if not centred.std() > _CONSTANT * _find_size(values):
        return None
    result = np.zeros_like(rsms)
    result[:, below] = centred
    return result


def _find_size(values: NDArray[np.float64]) -> float:
    return float(np.abs(values).max(initial=1))


def _variance(mean: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance from the mean and the mean square; NaN where their difference is rounding."""
    variance = square - mean**2
    return np.where(variance > 1e-12 * square, variance, np.nan)
