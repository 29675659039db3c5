"""Items in clusters: prompts about one scene together are one piece of evidence, however many they are."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def draw_cluster_weights(
    clusters: Iterable[Hashable], draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Bootstrap multiplicities of items when whole clusters are drawn with replacement.

    Args:
        clusters: The label of each item's cluster, n of them.
        draws: How many bootstrap draws.
        rng: Where the randomness comes from.

    Returns:
        Whole numbers [draws, n], int64: how often each item occurs in each draw.

    Raises:
        ValueError: No labels, or a label is missing.
    """
    codes, count = _number_clusters(clusters)
    times = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    return times[:, codes]


def standard_error(residuals: NDArray[np.float64], codes: NDArray[np.intp], count: int) -> float:
    """Cluster-robust standard error (CR1) of a mean.

    Args:
        residuals: Values less their mean, [n].
        codes: The cluster of each item, numbered from 0 to count - 1, [n].
        count: How many clusters there are, at least two.
    """
    sums = np.bincount(codes, weights=residuals, minlength=count)
    return math.sqrt(count / (count - 1) * float(sums @ sums)) / len(residuals)


def find_effective_size(values: NDArray[np.float64], codes: NDArray[np.intp], count: int) -> float:
    """How many independent items tell as much about a mean as these do, at most n (Korn and Graubard 1998).

    The number of items is divided by the design effect: the between-cluster variance over the variance of
    independent items, at least 1. When all values are equal it cannot be estimated, and each cluster counts as
    one item.

    Args:
        values: Numbers [n].
        codes: The cluster of each item, numbered from 0 to count - 1, [n].
        count: How many clusters there are, at least two.
    """
    n, residuals = len(values), values - values.mean()
    independent = float((residuals**2).mean()) / (n - 1)
    if count == n or not independent or (values == values[0]).all():
        return float(count)
    return n / max(1.0, standard_error(residuals, codes, count) ** 2 / independent)


def number_clusters(
    values: ArrayLike, clusters: Iterable[Hashable], what: str
) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
    """Check numbers and number their clusters.

    Args:
        values: One number per item, [n].
        clusters: The label of each item's cluster, n of them.
        what: Name of the numbers, for messages.

    Returns:
        The numbers, float64 [n]; the cluster of each, numbered from 0, [n]; and how many clusters there are.

    Raises:
        ValueError: Lengths differ, nothing was given, a label is missing, or a number is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"{what} must be one number per item; their shape is {numbers.shape}")
    codes, count = _number_clusters(clusters)
    if len(numbers) != len(codes):
        raise ValueError(f"{len(numbers)} {what} but {len(codes)} cluster labels")
    bad = int((~np.isfinite(numbers)).sum())
    if bad:
        raise ValueError(f"{bad} of {len(numbers)} {what} are not finite")
    return numbers, codes, count


def _number_clusters(clusters: Iterable[Hashable]) -> tuple[NDArray[np.intp], int]:
    # Labels are checked as Python objects: NumPy would turn a missing one into the text "nan".
    labels = np.asarray(clusters).tolist() if hasattr(clusters, "__array__") else list(clusters)
    seen: dict[Hashable, int] = {}
    codes = np.empty(len(labels), dtype=np.intp)
    for i, label in enumerate(labels):
        if isinstance(label, list):
            raise ValueError("clusters must be one label per item, not a table")
        if label is None or label != label or label == "":
            raise ValueError(f"item {i} of {len(labels)} has no cluster label (it is {label!r})")
        codes[i] = seen.setdefault(label, len(seen))
    if not labels:
        raise ValueError("no items: there is nothing to estimate from")
    return codes, len(seen)
