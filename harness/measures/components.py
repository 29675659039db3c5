"""Principal components, and how labels separate in their plane (Assouel et al. 2026, Figure 1b)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

NEIGHBOURS = 5
"""Nearest trials in a plane that give a trial its label."""

_CONSTANT = 1e-12
"""Spread relative to size below which activations differ by rounding alone."""


def project_to_plane(activations: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of the items in the plane of the first two principal components.

    The sign of a component is arbitrary; here its largest loading is positive, so that a plane
    looks the same each time it is drawn.

    Args:
        activations: [n, d].

    Returns:
        coordinates [n, 2], and each component's share of the variance [2]. All zero if the
        activations are all the same.

    Raises:
        ValueError: Fewer than two items or dimensions, or an activation is not finite.
    """
    x = np.asarray(activations, np.float64)
    if x.ndim != 2 or min(x.shape) < 2:
        raise ValueError(f"a plane needs two items and two dimensions; got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("activations are not finite")
    centred = x - x.mean(0)
    if np.abs(centred).max() <= _CONSTANT * np.abs(x).max():
        return np.zeros((len(x), 2)), np.zeros(2)
    _, singular, loadings = np.linalg.svd(centred, full_matrices=False)
    axes = loadings[:2]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    axes = axes * np.where(largest < 0, -1, 1)
    return centred @ axes.T, singular[:2] ** 2 / (singular**2).sum()


def neighbours_agree(
    coordinates: ArrayLike, labels: ArrayLike, groups: ArrayLike, k: int = 5
) -> NDArray[np.bool_]:
    """Whether an item's k nearest neighbours give it the label it has.

    Neighbours of the same group are not used: trials of one scene share an image, and would vouch
    for each other. The majority of the k labels wins; of labels with equally many, the one whose
    neighbour is nearest.

    Args:
        coordinates: [n, c].
        labels: Of any type, [n].
        groups: Labels of any type, [n]; the scene of each item.
        k: How many neighbours.

    Returns:
        bool [n].

    Raises:
        ValueError: Lengths differ, a coordinate is not finite, k is below one, or an item has fewer
            than k items outside its group.
    """
    points = np.asarray(coordinates, np.float64)
    labels, groups = np.asarray(labels), np.asarray(groups)
    if not len(points) == len(labels) == len(groups):
        raise ValueError(f"{len(points)} items, {len(labels)} labels and {len(groups)} groups")
    if not np.isfinite(points).all():
        raise ValueError("coordinates are not finite")
    if k < 1:
        raise ValueError(f"k is {k}; at least one neighbour is needed")
    same = groups[:, None] == groups[None, :]
    others = (~same).sum(1)
    if len(points) and others.min() < k:
        short = others.argmin()
        raise ValueError(
            f"item {short} has {others[short]} items outside its group {groups[short]}; "
            f"{k} neighbours are needed"
        )
    distance = np.where(same, np.inf, cdist(points, points))
    nearest = distance.argsort(1, kind="stable")[:, :k]
    classes, own = np.unique(labels, return_inverse=True)
    votes = own[nearest]
    counts = (votes[:, :, None] == np.arange(len(classes))).sum(1)
    behind = np.take_along_axis(counts, votes, 1)
    winner = (behind == behind.max(1, keepdims=True, initial=0)).argmax(1)
    return np.take_along_axis(votes, winner[:, None], 1)[:, 0] == own
