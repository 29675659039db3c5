"""Where the targets of trials are, and what else stands in their scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.measures.similarity import feature_rsm, position_rsm
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import Cell, Object, Scene


def locate_target(trial: Trial) -> Cell:
    """The cell of the object that the answer names."""
    return trial.scene.cell_of(trial.target)


def number_cells(trials: Sequence[Trial]) -> NDArray[np.int64]:
    """The target's cell of each trial as its place among all cells in reading order, [n]."""
    return np.array([number_cell(t.scene, t.target) for t in trials])


def number_mentioned_cells(trials: Sequence[Trial]) -> NDArray[np.int64]:
    """The cell of each described object as its place among all cells in reading order, [n, S]."""
    return np.array([[number_cell(t.scene, shown) for shown in t.described] for t in trials])


def number_identities(trials: Sequence[Trial]) -> NDArray[np.int64]:
    """Which object each target is, numbered in the order of names, [n]."""
    return np.unique([t.target.name for t in trials], return_inverse=True)[1].astype(np.int64)


def number_cell(scene: Scene, shown: Object) -> int:
    """The place of an object's cell among all cells of its grid in reading order."""
    return scene.grid.cells.index(scene.cell_of(shown))


def list_colors(trials: Sequence[Trial], cells: NDArray[np.int64]) -> list[str]:
    """The color of the object in one cell of each scene.

    Args:
        trials: n of them.
        cells: A cell for each, as its place among all cells in reading order, [n].

    Raises:
        ValueError: A cell is empty.
    """
    found = []
    for trial, number in zip(trials, cells.tolist(), strict=True):
        cell = trial.scene.grid.cells[number]
        shown = trial.scene.at(cell)
        if shown is None:
            raise ValueError(f"{cell} of the scene is empty: it has no color")
        found.append(shown.color)
    return found


def compare_targets(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """How near each two targets are on the canvas, [1, n, n]: 1 in the same place, 0 farthest apart."""
    return position_rsm(np.array([t.scene.grid.centre(locate_target(t)) for t in trials]))[None]


def compare_mentions(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """How near each two described objects are, for the first mention, the second and so on, [S, n, n]."""
    centres = [[t.scene.grid.centre(t.scene.cell_of(o)) for o in t.described] for t in trials]
    return position_rsm(np.array(centres).transpose(1, 0, 2))


def compare_features(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """The share of the two features, color and shape, that each two targets have in common, [1, n, n]."""
    colors = np.array([t.target.color for t in trials])
    return feature_rsm(colors, np.array([t.target.shape for t in trials]))[None]
