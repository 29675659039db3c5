"""Probes that read labels from activations: by the nearest class mean, or linearly by ridge regression.

Similarity of whole states (`harness.measures.similarity`) asks whether a code is most of what differs between
states. A probe asks whether the code is there at all: it finds one of a few directions among thousands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Penalties of a ridge probe that are tried, each a share of the mean eigenvalue of the Gram matrix."""

_ROUNDING = 1e-6
"""Spread of a dimension, as a share of its largest value, up to which it differs by rounding alone."""


def label_by_nearest_mean(
    known: ArrayLike, labels: ArrayLike, unknown: ArrayLike
) -> NDArray[np.int64]:
    """Label activations by the class mean of highest cosine, after the overall mean is subtracted.

    Args:
        known: Activations with labels, [n, d].
        labels: Whole numbers, [n].
        unknown: Activations to be labelled, [m, d].

    Returns:
        Labels, int64 [m]; of equally near labels the smaller.

    Raises:
        ValueError: Shapes do not fit, or there are fewer than two labels.
    """
    x, y, z = np.asarray(known, float), np.asarray(labels), np.asarray(unknown, float)
    if x.ndim != 2 or z.ndim != 2 or x.shape[1] != z.shape[1] or len(x) != len(y):
        raise ValueError(f"activations {x.shape} with labels {y.shape}, and {z.shape} to label")
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError("with one label there is nothing to tell apart")
    middle = x.mean(0)
    means = np.stack([x[y == c].mean(0) for c in classes]) - middle
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-300)
    return classes[((z - middle) @ means.T).argmax(1)].astype(np.int64)


def label_by_ridge(
    known: ArrayLike, labels: ArrayLike, unknown: ArrayLike, strength: float
) -> NDArray[np.int64]:
    """Label activations by a linear probe: ridge regression on one column per label, the highest wins.

    Every dimension is standardized by the activations with labels. The regression is solved for items instead
    of dimensions, so that it costs little where there are thousands of dimensions and hundreds of items.

    Args:
        known: Activations with labels, [n, d].
        labels: Whole numbers, [n]; or several sets of labels, such as shuffled ones, [R, n].
        unknown: Activations to be labelled, [m, d].
        strength: The penalty as a share of the mean eigenvalue of the Gram matrix, above 0.

    Returns:
        Labels, int64 [m] or [R, m]; of equally high labels the smaller.

    Raises:
        ValueError: Shapes do not fit, there is no item to learn from, or the penalty is not above 0.
    """
    x, y, z = np.asarray(known, float), np.asarray(labels), np.asarray(unknown, float)
    if x.ndim != 2 or z.ndim != 2 or x.shape[1] != z.shape[1] or y.shape[-1:] != x.shape[:1]:
        raise ValueError(f"activations {x.shape} with labels {y.shape}, and {z.shape} to label")
    middle, scale = _find_scale(x)
    x, z = (x - middle) / scale, (z - middle) / scale
    found = _label(x @ x.T, z @ x.T, np.atleast_2d(y), (strength,))[0]
    return found if y.ndim == 2 else found[0]


def label_held_out(
    activations: ArrayLike,
    labels: ArrayLike,
    folds: ArrayLike,
    strengths: Sequence[float] = STRENGTHS,
) -> NDArray[np.int64]:
    """Label each fold of the activations by a linear probe that was learned on all other folds.

    As `label_by_ridge`, but dimensions are scaled by all activations, which looks at no label.

    Args:
        activations: [n, d].
        labels: Whole numbers, [n].
        folds: The fold of each item, see `deal_folds`, [n].
        strengths: Penalties, as in `label_by_ridge`.

    Returns:
        Labels by penalty, int64 [len(strengths), n].

    Raises:
        ValueError: Shapes do not fit, there are fewer than two folds, or a penalty is not above 0.
    """
    x, y, parts = np.asarray(activations, float), np.asarray(labels), np.asarray(folds)
    if x.ndim != 2 or y.shape != x.shape[:1] or parts.shape != y.shape:
        raise ValueError(f"activations {x.shape} with labels {y.shape} in folds {parts.shape}")
    if len(np.unique(parts)) < 2:
        raise ValueError("with fewer than two folds there is nothing to learn from")
    middle, scale = _find_scale(x)
    x = (x - middle) / scale
    gram = x @ x.T
    found = np.empty((len(strengths), len(y)), np.int64)
    for part in np.unique(parts):
        out = parts == part
        among, across = gram[np.ix_(~out, ~out)], gram[np.ix_(out, ~out)]
        # The mean of the items that are learned from is taken out of both sides.
        means, mean = among.mean(0), among.mean()
        across = across - across.mean(1, keepdims=True) - means + mean
        among = among - means[:, None] - means + mean
        found[:, out] = _label(among, across, y[None, ~out], strengths)[:, 0]
    return found


def deal_folds(scenes: ArrayLike, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal items out to folds at random, all items of one scene to the same fold, int64 [n].

    Folds have as equal numbers of scenes as there can be. With fewer scenes than folds, each is a fold.

    Args:
        scenes: The scene of each item, [n].
        folds: How many.
        rng: Where the randomness comes from.
    """
    labels, index = np.unique(np.asarray(scenes), return_inverse=True)
    return (rng.permutation(len(labels)) % folds)[index].astype(np.int64)


def shuffle_by_scene(
    labels: ArrayLike, scenes: ArrayLike, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give the labels of each scene to another scene, drawn at random; what one scene says stays together.

    Args:
        labels: Whole numbers, one row per item, [n, ...].
        scenes: The scene of each item, [n].
        rng: Where the randomness comes from.

    Returns:
        The same rows in another order, int64 [n, ...]. Where scenes differ in their numbers of items, some
        rows go to the scene that comes next.
    """
    given = np.asarray(labels)
    names, index = np.unique(np.asarray(scenes), return_inverse=True)
    dealt = np.empty_like(given, dtype=np.int64)
    dealt[np.argsort(index, kind="stable")] = given[
        np.argsort(rng.permutation(len(names))[index], kind="stable")
    ]
    return dealt


def _find_scale(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of every dimension [d]; infinite where items differ by rounding alone."""
    if not len(x):
        raise ValueError("there is no item to learn from")
    spread = x.std(0)
    return x.mean(0), np.where(spread > _ROUNDING * np.abs(x).max(0), spread, np.inf)


def _label(
    gram: NDArray[np.float64],
    across: NDArray[np.float64],
    labels: NDArray[np.int64],
    strengths: Sequence[float],
) -> NDArray[np.int64]:
    """Learn from centred items and label others, [penalty, R, m].

    Args:
        gram: Products of the n items that are learned from, [n, n].
        across: Products of m others with these, [m, n].
        labels: R sets of labels, [R, n].
        strengths: Penalties.
    """
    if not all(strength > 0 for strength in strengths):
        raise ValueError(f"penalties must be above 0, got {tuple(strengths)}")
    classes = np.unique(labels)
    wanted = (labels[..., None] == classes).transpose(1, 0, 2).astype(float)
    shares = wanted.mean(0)
    columns = (wanted - shares).reshape(len(gram), -1)
    size = float(np.trace(gram)) / len(gram) or 1.0
    found = []
    for strength in strengths:
        ridge = gram + strength * size * np.eye(len(gram))
        scores = across @ solve(ridge, columns, assume_a="pos")
        found.append(classes[(scores.reshape(-1, *shares.shape) + shares).argmax(-1)].T)
    return np.array(found, np.int64)
