"""The two halves of a measurement: layers and heads are chosen on one and judged on the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
"""Bootstrap draws behind every interval that is not a closed formula."""

PERMUTATIONS = 1000
"""Permutations behind every test by permuted labels."""


def draw_estimation_half(
    scenes: Sequence[str] | NDArray[np.str_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw which trials belong to the estimation half, bool [n].

    Whole scenes are dealt out, so that no image is on both sides; the halves are as equal in trials as
    whole scenes allow.

    Raises:
        ValueError: Fewer than two scenes.
    """
    labels, index, sizes = np.unique(np.asarray(scenes), return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise ValueError(f"{len(labels)} scene cannot be split in halves")
    chosen = np.zeros(len(labels), bool)
    taken = 0
    for scene in rng.permutation(len(labels)):
        if (
            2 * (taken + sizes[scene]) <= len(index) + sizes[scene]
            and chosen.sum() < len(labels) - 1
        ):
            chosen[scene] = True
            taken += sizes[scene]
    return chosen[index]
