"""The tasks that embedded subjects learn: each draws a prompt about a scene, or none if it does not fit.

Scenes are split by the hash of their pixels into training and held-out ones, so that no held-out scene
is ever trained on, whatever the prompt about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.stimuli import prompt as prompts
from harness.stimuli.prompt import RELATIONS, Prompt
from harness.stimuli.scene import (
    BACKDROPS,
    COLORS,
    EMBEDDED_GRIDS,
    SHAPES,
    Backdrop,
    Cell,
    Grid,
    Object,
    Scene,
)

HELD_OUT = 16
"""One scene in this many is never trained on."""

_COLORS, _SHAPES = tuple(COLORS), tuple(SHAPES)


def is_held_out(scene: Scene) -> bool:
    """Whether a scene is used only for evaluation."""
    return int(scene.key, 16) % HELD_OUT == 0


def draw_objects(count: int, entropy: str, rng: np.random.Generator) -> tuple[Object, ...]:
    """Draw distinct objects.

    Args:
        count: How many, at most nine.
        entropy: "high" (no feature shared), "low" (few colors and few shapes) or "any".
        rng: Where the randomness comes from.
    """
    if entropy == "high":
        colors, shapes = rng.permutation(_COLORS)[:count], rng.permutation(_SHAPES)[:count]
        return tuple(Object(str(c), str(s)) for c, s in zip(colors, shapes, strict=True))
    side = 9 if entropy == "any" else int(np.ceil(np.sqrt(count)))
    colors, shapes = rng.permutation(_COLORS)[:side], rng.permutation(_SHAPES)[:side]
    picked = rng.choice(side * side, size=count, replace=False)
    return tuple(Object(str(colors[i // side]), str(shapes[i % side])) for i in picked)


def _draw_two_by_two(rng: np.random.Generator) -> Scene:
    count = int(rng.choice([2, 2, 3, 4, 4]))
    return _place(EMBEDDED_GRIDS[2], draw_objects(count, _draw_entropy(rng), rng), rng)


def _draw_three_by_three(rng: np.random.Generator) -> Scene:
    return _place(
        EMBEDDED_GRIDS[3], draw_objects(int(rng.integers(3, 10)), _draw_entropy(rng), rng), rng
    )


def _draw_block(rng: np.random.Generator) -> Scene:
    """A 2x2 block in a corner of the 3x3 grid (section 4.1)."""
    row, column = (int(x) for x in rng.integers(0, 2, size=2))
    cells = [Cell(row + r, column + c) for r in (0, 1) for c in (0, 1)]
    return _place(EMBEDDED_GRIDS[3], draw_objects(4, _draw_entropy(rng), rng), rng, cells)


def _draw_line(rng: np.random.Generator) -> Scene:
    """Three items in the middle row or the middle column (Cui et al. 2026)."""
    across = rng.random() < 0.5
    cells = [Cell(1, i) if across else Cell(i, 1) for i in range(3)]
    return _place(EMBEDDED_GRIDS[3], draw_objects(3, "high", rng), rng, cells)


def _draw_solid_pair(rng: np.random.Generator) -> Scene:
    """A solid on the left and one on the right, on textured ground (section 4.2)."""
    grid = EMBEDDED_GRIDS[2]
    cells = tuple(Cell(int(rng.integers(2)), column) for column in (0, 1))
    objects = draw_objects(2, str(rng.choice(["high", "any"])), rng)
    return Scene(grid, objects, cells, _draw_backdrop(rng))


def _draw_solids(rng: np.random.Generator) -> Scene:
    """Two to four solids on textured ground (appendix B)."""
    objects = draw_objects(int(rng.integers(2, 5)), _draw_entropy(rng), rng)
    return replace(_place(EMBEDDED_GRIDS[2], objects, rng), setting=_draw_backdrop(rng))


def _draw_backdrop(rng: np.random.Generator) -> Backdrop:
    return Backdrop(str(rng.choice(BACKDROPS)), int(rng.integers(2**31)))


def _place(
    grid: Grid,
    objects: Sequence[Object],
    rng: np.random.Generator,
    cells: Sequence[Cell] | None = None,
) -> Scene:
    cells = tuple(cells or grid.cells)
    where = rng.choice(len(cells), size=len(objects), replace=False)
    return Scene(grid, tuple(objects), tuple(cells[i] for i in where))


def _draw_entropy(rng: np.random.Generator) -> str:
    return str(rng.choice(["high", "any", "low"], p=[0.5, 0.25, 0.25]))


SceneMix = dict[Callable[[np.random.Generator], Scene], float]
"""Functions that draw a scene, each with its share in a mix."""

LAYOUTS: SceneMix = {
    _draw_two_by_two: 0.55,
    _draw_three_by_three: 0.2,
    _draw_block: 0.1,
    _draw_line: 0.15,
}
"""The mix of scenes in the first part of the training, flat shapes only."""

FURTHER: SceneMix = {
    _draw_two_by_two: 0.3,
    _draw_three_by_three: 0.12,
    _draw_block: 0.06,
    _draw_line: 0.07,
    _draw_solid_pair: 0.25,
    _draw_solids: 0.2,
}
"""The mix of scenes in the second part of the training, which adds solids."""

SOLIDS: SceneMix = {_draw_solid_pair: 1.0, _draw_solids: 1.0}
"""A mix of scenes with solids only."""


def draw_scene(
    rng: np.random.Generator, *, evaluation: bool = False, layouts: SceneMix = LAYOUTS
) -> Scene:
    """Draw a scene to train on, or with `evaluation` one that is held out."""
    kinds, shares = list(layouts), np.array(list(layouts.values()))
    while True:
        scene = kinds[rng.choice(len(kinds), p=shares / shares.sum())](rng)
        if is_held_out(scene) == evaluation:
            return scene


def describe(scene: Scene, rng: np.random.Generator) -> Prompt | None:
    """Draw a prompt that describes the objects in random order."""
    order = rng.permutation(len(scene))
    *described, target = (scene.objects[i] for i in order)
    return prompts.scene_description(described, target, commas=len(scene) > 2 or rng.random() < 0.3)


def name_color(scene: Scene, rng: np.random.Generator) -> Prompt | None:
    """Draw a question for the color of a shape that only one object has."""
    shapes = [o.shape for o in scene.objects]
    unique = [o for o in scene.objects if shapes.count(o.shape) == 1]
    if not unique:
        return None
    chosen = unique[rng.integers(len(unique))]
    return prompts.color_question(chosen.shape, chosen.color)


def look_beside(scene: Scene, rng: np.random.Generator) -> Prompt | None:
    """Draw a question for the color of the object directly left of, right of, above or below a named one."""
    options = []
    for obj, cell in scene:
        for relation, (rows, columns) in RELATIONS.items():
            found = scene.at(Cell(cell.row + rows, cell.column + columns))
            if found:
                options.append((relation, obj, found.color))
    return prompts.spatial_question(*options[rng.integers(len(options))]) if options else None


def count(scene: Scene, rng: np.random.Generator) -> Prompt | None:
    """Ask how many objects there are."""
    return prompts.count_question(len(scene))


def enumerate_objects(scene: Scene, rng: np.random.Generator) -> Prompt | None:
    """Draw the beginning of a numbered list in reading order."""
    listed = [scene.objects[i] for i in sorted(range(len(scene)), key=lambda i: scene.cells[i])]
    return prompts.numbered_list(listed, int(rng.integers(len(listed))))


def ask_in_line(scene: Scene, rng: np.random.Generator) -> Prompt | None:
    """Draw a question for a neighbour of the middle one of three objects in a row or column."""
    middle = scene.at(Cell(1, 1))
    if len(scene) != 3 or scene.grid.rows != 3 or middle is None:
        return None
    options = [
        (relation, found)
        for relation, (rows, columns) in RELATIONS.items()
        if (found := scene.at(Cell(1 + rows, 1 + columns)))
    ]
    if len(options) != 2:
        return None
    relation, found = options[rng.integers(2)]
    return prompts.line_question(relation, middle, found)


def ground(scene: Scene, rng: np.random.Generator) -> Prompt | None:
    """Draw a caption that ends each mention with its cell."""
    return prompts.grounded_caption(scene, [int(i) for i in rng.permutation(len(scene))])


@dataclass(frozen=True)
class TrainingTask:
    """One task of the mix.

    Attributes:
        draw: Function that draws a prompt about a scene, or gives None if the task does not fit it.
        share: How often it is drawn relative to the others.
        further: Its share in the second part of the training.
        learns: "statements" (every word that states an object or a cell) or "completion" (only the answer).
    """

    draw: Callable[[Scene, np.random.Generator], Prompt | None]
    share: float
    further: float
    learns: Literal["statements", "completion"] = "statements"


TRAINING_TASKS: dict[str, TrainingTask] = {
    "scene description": TrainingTask(describe, 4, 3),
    "color of a shape": TrainingTask(name_color, 1, 3, "completion"),
    "directly beside": TrainingTask(look_beside, 2, 4, "completion"),
    "counting": TrainingTask(count, 0.5, 0.5, "completion"),
    "numbered list": TrainingTask(enumerate_objects, 1.5, 2),
    "three in a line": TrainingTask(ask_in_line, 2, 1, "completion"),
    "grounded caption": TrainingTask(ground, 2, 1),
}


def draw_prompts(
    scene: Scene, how_many: int, words: int, rng: np.random.Generator, *, further: bool = False
) -> list[tuple[str, Prompt]]:
    """Draw prompts about one scene, with tasks in proportion to their shares.

    Args:
        scene: The scene that they are about.
        how_many: Number of draws; a task that does not fit the scene is drawn again.
        words: A prompt that would bring the row over this many words is left out, so that rows with
            many objects do not make all others longer. The first prompt always stays.
        rng: Where the randomness comes from.
        further: Whether to use the shares of the second part of the training.
    """
    names = list(TRAINING_TASKS)
    shares = np.array([task.further if further else task.share for task in TRAINING_TASKS.values()])
    drawn: list[tuple[str, Prompt]] = []
    used = attempts = 0
    while attempts < how_many:
        name = names[rng.choice(len(names), p=shares / shares.sum())]
        prompt = TRAINING_TASKS[name].draw(scene, rng)
        if prompt is None:
            continue
        attempts += 1
        length = len((prompt.text + prompt.completion).split())
        if not drawn or used + length <= words:
            drawn.append((name, prompt))
            used += length
    return drawn
