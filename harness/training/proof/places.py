"""The code of a place, computed from where things are drawn and from what the slots' documentation says.

Nothing here reads the weights: it is what they are held to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.stimuli.scene import Cell, Grid, Scene
from harness.training.wired.slots import EDGES

SIDE = 8
"""Image tokens per row and per column of an image."""

SLACK = 0.1
"""Half of the width, in image tokens, over which a step of the code goes from -1/2 to 1/2."""


def list_codes(scene: Scene, relative: bool) -> NDArray[np.float64]:
    """Write the code of every cell of a scene's grid, each of length 1, float64 [cells, 2 * len(EDGES)].

    A cell's code is the mean over its image tokens.

    Args:
        scene: Its objects are what places are relative to.
        relative: Whether to the middle of all objects, or else to that of the image.
    """
    shown = [_list_tokens(scene.grid, cell) for cell in scene.cells]
    middle = np.concatenate(shown).mean(0) if relative else np.zeros(2)
    codes = np.array([_write(_list_tokens(scene.grid, c) - middle) for c in scene.grid.cells])
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


def _list_tokens(grid: Grid, cell: Cell) -> NDArray[np.float64]:
    """Column and row of each image token of a cell, from the middle of the image, float64 [tokens, 2]."""
    tokens = np.array(grid.tokens(cell, SIDE))
    return np.stack([tokens % SIDE, tokens // SIDE], 1) - (SIDE - 1) / 2


def _write(where: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean code of some tokens [tokens, 2], float64 [2 * len(EDGES)]."""
    steps = np.clip((where[..., None] - np.array(EDGES)) / (2 * SLACK), -0.5, 0.5)
    return steps.reshape(len(where), -1).mean(0)


def find_leads(
    read: NDArray[np.float64], codes: NDArray[np.float64], right: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find which of the codes is the nearest, and by how much the right one leads.

    Args:
        read: Vectors that may hold a code, [N, d].
        codes: The codes that each may hold, of length 1, [N, codes, d].
        right: Which of them each should hold.

    Returns:
        The cosine with the right code less the largest with another, and the nearest code, both [N]. A vector
        of zeros is near to none: its lead is 0.
    """
    length = np.linalg.norm(read, axis=1, keepdims=True)
    cosines = np.einsum("nd,ncd->nc", read, codes) / np.where(length > 0, length, 1)
    rows, own = np.arange(len(read)), np.asarray(right)
    others = cosines.copy()
    others[rows, own] = -np.inf
    return cosines[rows, own] - others.max(1), cosines.argmax(1)
