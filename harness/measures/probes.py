"""A probe that reads labels from activations by the nearest class mean, with nothing to train or tune."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
