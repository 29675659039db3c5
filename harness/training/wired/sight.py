"""What the vision towers of all families have in common: scenes to be fitted on, and the steps of a place.

Patches of the stimuli are few (an object covers 2x2 whole tokens, in 81 kinds), so that a layer of random
features and a least-squares fit tell them apart exactly. A tower finds where its tokens are from the middle
of all objects, and its last layers turn that into the place code, which is the same whatever the object is.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, SHAPES, Object, Scene
from harness.training.wired.slots import CONSTANT, EDGES, at

ANCHOR = 100.0
"""Two opposite entries so large that layer normalisation scales every token alike."""

SHARP = 50.0
"""Slope at which smooth activations act as steps."""

KINDS = tuple(Object(c, s) for c, s in product(COLORS, SHAPES))
MARKS = len(COLORS) + len(SHAPES) + 1
"""What is known of a token: color and shape one by one, and whether there is an object."""


def list_coordinates(side: int) -> torch.Tensor:
    """Column and row of every image token, from the middle of the image, float32 [side * side, 2]."""
    steps = torch.arange(side) - (side - 1) / 2
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([columns, rows], -1).flatten(0, 1)


def make_scenes() -> list[Scene]:
    """Scenes that show every object in every cell of both grids, and some with fewer objects."""
    scenes = []
    for grid in EMBEDDED_GRIDS.values():
        size = len(grid.cells)
        for start in range(len(KINDS)):
            shown = tuple(KINDS[(start + i) % len(KINDS)] for i in range(size))
            scenes.append(Scene(grid, shown, grid.cells))
            scenes.append(Scene(grid, shown[: size // 2], grid.cells[: size // 2]))
    return scenes


def mark_truth(scene: Scene, side: int) -> NDArray[np.float64]:
    """Color, shape and presence of the object at each image token, float64 [side * side, MARKS]."""
    truth = np.zeros((side * side, MARKS))
    for obj, cell in scene:
        marks = (
            list(COLORS).index(obj.color),
            len(COLORS) + list(SHAPES).index(obj.shape),
            len(COLORS) + len(SHAPES),
        )
        for token in scene.grid.tokens(cell, side):
            truth[token, list(marks)] = 1
    return truth


def find_middles(scenes: list[Scene], side: int) -> torch.Tensor:
    """The middle of all tokens that show an object, as column and row, float32 [scenes, 2]."""
    shown = torch.tensor(np.stack([mark_truth(s, side)[:, -1] for s in scenes])).float()
    return (shown @ list_coordinates(side)) / shown.sum(1, keepdim=True)


def fit(hidden: torch.Tensor, goal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit a linear layer by least squares: weight [goals, hidden] and bias [goals], float32.

    Args:
        hidden: What the layer reads, float64 [samples, hidden].
        goal: What it should give, float64 [samples, goals].
    """
    x = torch.cat([hidden, torch.ones_like(hidden[..., :1])], -1)
    gram = x.T @ x + 1e-6 * torch.eye(x.shape[1])
    solution = torch.linalg.solve(gram, x.T @ goal)
    return solution[:-1].T.float(), solution[-1].float()


class Steps:
    """Units of a hidden layer that act as relu(reads . x + bias), written one by one."""

    def __init__(self, first: nn.Linear, second: nn.Linear, start: int = 0) -> None:
        self.first, self.second, self.next = first, second, start

    def add(self, reads: dict[int, float], bias: float, writes: dict[int, float]) -> None:
        """Write one unit, whose output is added to `writes`."""
        for source, size in reads.items():
            self.first.weight[self.next, source] = SHARP * size
        self.first.bias[self.next] = SHARP * bias
        for target, size in writes.items():
            self.second.weight[target, self.next] = size / SHARP
        self.next += 1


def write_places(steps: Steps, axes: list[dict[int, float]], present: list[int]) -> None:
    """Write the place code of tokens with an object, and what every image token holds.

    Args:
        steps: The last hidden layer before the residual stream.
        axes: Weights that read a token's column and row from what places are relative to, in tokens.
        present: Entries that add up to 1 where there is an object, and to 0 elsewhere.
    """
    for axis, source in enumerate(axes):
        for index, edge in enumerate(EDGES):
            target = at("seen_place").start + axis * len(EDGES) + index
            # Far below every edge where there is no object, so that empty tokens have no place.
            far = {**source, **dict.fromkeys(present, 20.0)}
            for slack, sign in ((0.1, 1), (-0.1, -1)):
                steps.add(far, -20 - edge + slack, {target: sign / 0.2})
    for index in range(at("seen_place").start, at("seen_place").stop):
        steps.add(dict.fromkeys(present, 1.0), -0.5, {index: -1})
    mark_seen(steps.second)


def mark_seen(last: nn.Linear) -> None:
    """Write, into the last layer before the residual stream, what every image token holds."""
    last.bias[at("seen")] = 1
    last.bias[at("constant")] = CONSTANT
