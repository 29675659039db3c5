"""The trial sets of Assouel et al.: which objects, which cells, how many trials (protocol of section 3.3).

Every set is drawn from a seeded generator; mention order is drawn at random for each trial, independently
of where the objects are, since otherwise position is confounded with serial order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import COLORS, SHAPES, Cell, Grid, Object, Scene, objects

HIGH_ENTROPY = {
    2: objects(("red circle", "blue square", "green triangle", "purple heart")),
    3: objects(
        (
            "red circle",
            "yellow star",
            "gray plane",
            "pink umbrella",
            "green triangle",
            "orange cross",
            "purple heart",
            "blue square",
            "black sun",
        )
    ),
}
"""Objects that share no feature, one per cell of the grid (section 4.5)."""

EVERY_OBJECT = objects(f"{color} {shape}" for color in COLORS for shape in SHAPES)
"""Every color with every shape."""

LOW_ENTROPY = {
    2: objects(f"{c} {s}" for c in ("green", "blue") for s in ("triangle", "square")),
    3: objects(
        f"{c} {s}" for c in ("red", "green", "blue") for s in ("circle", "square", "triangle")
    ),
}
"""All pairings of few colors and few shapes (section 4.5)."""

PCA_CELLS = tuple(Cell(r, c) for r in range(3) for c in (0, 2))
"""The outer columns of the 3x3 canvas (Figure 1b)."""


def draw_balanced_trials(
    grid: Grid,
    objects: Sequence[Object],
    trials: int,
    rng: np.random.Generator,
    *,
    cells: Sequence[Cell] | None = None,
) -> list[Trial]:
    """Scene-description trials in which every object is the target at every cell equally often.

    The paper's protocol: for each (target, cell) pair the same number of trials, the other objects
    permuted at random over the other cells. If `trials` is not a multiple of the number of pairs, the
    pairs that get one more are drawn at random.

    With as many objects as cells, as in the paper, the words of the prompt alone determine the target:
    a subject that never looks at the image represents its "features". With more, each trial draws the
    other objects anew, and only the image tells which one is left out.

    Args:
        grid: The canvas.
        objects: Distinct objects, at least as many as there are cells.
        trials: How many trials.
        rng: Where the randomness comes from.
        cells: The cells used; all of the grid if not given.

    Returns:
        Trials in random order.

    Raises:
        ValueError: Fewer objects than cells.
    """
    cells = tuple(cells or grid.cells)
    if len(objects) < len(cells):
        raise ValueError(f"{len(objects)} objects for {len(cells)} cells: one per cell is needed")
    pairs = [(obj, cell) for obj in objects for cell in cells]
    rounds = -(-trials // len(pairs))
    chosen = [pairs[i] for _ in range(rounds) for i in rng.permutation(len(pairs))][:trials]
    return [_trial(grid, objects, cells, target, cell, rng) for target, cell in chosen]


def _trial(
    grid: Grid,
    objects: Sequence[Object],
    cells: Sequence[Cell],
    target: Object,
    cell: Cell,
    rng: np.random.Generator,
) -> Trial:
    rest = [o for o in objects if o != target]
    others = [rest[i] for i in rng.permutation(len(rest))[: len(cells) - 1]]
    free = [c for c in cells if c != cell]
    places = [free[i] for i in rng.permutation(len(free))]
    scene = Scene(grid, (target, *others), (cell, *places))
    described = tuple(others[i] for i in rng.permutation(len(others)))
    return Trial(scene, scene_description(described, target), described, target)


def draw_entropy_trials(
    grid: Grid, entropy: str, trials: int, rng: np.random.Generator
) -> list[Trial]:
    """Trials on full grids: objects that share no feature ("high"), or all pairings of few features ("low").

    The paper's 2x2 sets have 24 scenes each, too few to judge anything on half of them; here four of the nine
    objects, or two of three colors and shapes, are drawn for each trial. The 3x3 sets are the paper's.
    """
    if entropy not in ("high", "low"):
        raise ValueError(f"entropy is high or low, not {entropy!r}")
    side = grid.rows
    found = []
    for _ in range(trials):
        if entropy == "high":
            shown: Sequence[Object] = [
                HIGH_ENTROPY[3][i] for i in rng.permutation(len(HIGH_ENTROPY[3]))[: side * side]
            ]
        else:
            colors, shapes = (
                [words[i] for i in sorted(rng.permutation(3)[:side])]
                for words in (("red", "green", "blue"), ("circle", "square", "triangle"))
            )
            shown = objects(f"{c} {s}" for c in colors for s in shapes)
        found.append(draw_balanced_trials(grid, shown, 1, rng)[0])
    return found


def draw_two_object_scenes(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator
) -> list[Scene]:
    """Scenes of two objects that share no feature, at two random cells (section 3.4)."""
    scenes = []
    for _ in range(trials):
        first = objects[int(rng.integers(len(objects)))]
        distinct = [o for o in objects if o.color != first.color and o.shape != first.shape]
        second = distinct[int(rng.integers(len(distinct)))]
        a, b = rng.choice(len(grid.cells), size=2, replace=False)
        scenes.append(Scene(grid, (first, second), (grid.cells[a], grid.cells[b])))
    return scenes
