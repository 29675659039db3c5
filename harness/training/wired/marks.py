"""Which patch in each quarter of a shape is marked, and how marks pull to find the middle of all objects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from harness.stimuli.scene import COLORS, SHAPES

Array = NDArray[np.float64]
Patch = tuple[int, int]
"""Row and column of a patch within its object."""

QUARTERS = tuple(product((0, 2), repeat=2))
"""Upper left patch of each merged token of an object, from the object's own."""


def choose_marks(ink: Array) -> list[tuple[Patch, ...]]:
    """Choose one patch in each quarter of every shape: what is there stands there and nowhere else.

    Args:
        ink: What is in each patch, [colors, shapes, rows, columns, pixels].

    Returns:
        Row and column of the marks of each shape, such as can tell where its middle is.
    """
    patches = ink.reshape(len(COLORS), -1, ink.shape[-1])
    places = list(product(range(len(SHAPES)), range(4), range(4)))
    margins = {}
    for index, place in enumerate(places):
        others = np.delete(patches, index, axis=1).reshape(-1, ink.shape[-1])
        others = np.concatenate([others, np.zeros_like(others[:1])])
        margins[place] = min(((others - own) ** 2).sum(1).min() for own in patches[:, index])
    inside = list(product((0, 1), repeat=2))
    sets = [
        marks
        for within in product(inside, repeat=4)
        if can_pull(
            marks := tuple((q + r, p + c) for (q, p), (r, c) in zip(QUARTERS, within, strict=True))
        )
    ]
    return [
        max(sets, key=lambda marks: min(margins[shape, row, column] for row, column in marks))
        for shape in range(len(SHAPES))
    ]


def solve_pulls(marks: Sequence[Patch]) -> Array:
    """Solve how marks must pull so that they find the middle of their object, float64 [marks, 2].

    Along each axis the pulls of an object add up to nothing, their moments to one, and their second moments to
    nothing, which would move the middle.
    """
    pulls = []
    for axis in (1, 0):
        offsets = np.array([mark[axis] for mark in marks]) - 1.5
        conditions = np.stack([np.ones_like(offsets), offsets, offsets**2])
        pulls.append(np.linalg.pinv(conditions) @ [0, 1, 0])
    return np.stack(pulls, 1)


def can_pull(marks: Sequence[Patch]) -> bool:
    """Whether there are pulls that find the middle of an object with these marks."""
    offsets = np.array(marks) - 1.5
    pulls = solve_pulls(marks)[:, ::-1]
    moments = np.stack([(pulls * offsets**power).sum(0) for power in range(3)])
    return bool(np.abs(moments - [[0], [1], [0]]).max() < 1e-9)
