"""Trials that ask questions: colors of shapes (4.3), what is next to what (4.4), how many (appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from harness.stimuli.design import draw_balanced_trials
from harness.stimuli.prompt import (
    RELATIONS,
    Trial,
    color_question,
    count_question,
    numbered_list,
    scene_description,
    spatial_question,
)
from harness.stimuli.scene import BACKDROPS, Backdrop, Cell, Grid, Object, Scene

SIDES = 2
"""Number of position IDs where one object is on the left (0) and one on the right (1)."""


def _draw_beside(
    grid: Grid, objects: Sequence[Object], rng: np.random.Generator, *, same_row: bool
) -> Scene:
    """Draw a scene of two objects that share no feature, one in each outer column."""
    first = objects[int(rng.integers(len(objects)))]
    distinct = [o for o in objects if o.color != first.color and o.shape != first.shape]
    second = distinct[int(rng.integers(len(distinct)))]
    rows = [int(r) for r in rng.integers(grid.rows, size=2)]
    if same_row:
        rows[1] = rows[0]
    return Scene(grid, (first, second), (Cell(rows[0], 0), Cell(rows[1], grid.rows - 1)))


def side_of(scene: Scene, obj: Object) -> int:
    """0 if an object is in the left column, else 1."""
    return int(scene.cell_of(obj).column > 0)


def draw_color_questions(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator
) -> list[Trial]:
    """Trials about two objects side by side that ask for the color of one; each side about equally often."""
    found = []
    for side in (int(s) for s in np.resize((0, 1), trials)[rng.permutation(trials)]):
        scene = _draw_beside(grid, objects, rng, same_row=True)
        asked = scene.objects[side]
        found.append(Trial(scene, color_question(asked.shape, asked.color), (), asked))
    return found


def draw_side_pairs(
    grid: Grid,
    objects: Sequence[Object],
    trials: int,
    rng: np.random.Generator,
    *,
    solids: bool,
) -> list[Trial]:
    """Trials about an object on the left and one on the right, of which the prompt names one.

    Each side is left out about equally often.

    Args:
        grid: The canvas.
        objects: The pairs are drawn from these.
        trials: How many.
        rng: Where the randomness comes from.
        solids: On textured ground, each backdrop about equally often (section 4.2); else flat shapes on white,
            side by side.
    """
    found = []
    for index, side in enumerate(
        int(s) for s in np.resize((0, 1), trials)[rng.permutation(trials)]
    ):
        scene = _draw_beside(grid, objects, rng, same_row=not solids)
        if solids:
            scene = replace(scene, setting=_draw_backdrop(index, rng))
        found.append(describe_other_side(scene, side))
    return found


def draw_side_triples(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator, *, solids: bool
) -> list[Trial]:
    """Trials about three objects that share no feature, one named, and only the others side by side.

    In a pair, the object on the other side is the one that the prompt has named, so that an answer which is
    moved there repeats a word, too. Here the object on the other side of the target is not named; the named one
    is on the target's own side. Either of the two unnamed ones can follow without an edit. Arguments are those
    of `draw_side_pairs`, and each side is the target's about equally often.
    """
    found = []
    for index, side in enumerate(
        int(s) for s in np.resize((0, 1), trials)[rng.permutation(trials)]
    ):
        drawn: list[Object] = []
        for shown in (objects[i] for i in rng.permutation(len(objects))):
            if all(shown.color != o.color and shown.shape != o.shape for o in drawn):
                drawn.append(shown)
        target, other, named = drawn[:3]
        row, last = int(rng.integers(2)) * (grid.rows - 1), grid.rows - 1
        own, across = side * last, (1 - side) * last
        cells = (Cell(row, own), Cell(row, across), Cell(last - row, own))
        scene = Scene(grid, (target, other, named), cells)
        if solids:
            scene = replace(scene, setting=_draw_backdrop(index, rng))
        prompt = scene_description((named,), target, commas=False)
        found.append(Trial(scene, prompt, (named,), target))
    return found


def _draw_backdrop(index: int, rng: np.random.Generator) -> Backdrop:
    """A ground for the scene of that index, each kind about equally often."""
    return Backdrop(BACKDROPS[index % len(BACKDROPS)], int(rng.integers(2**31)))


def describe_other_side(scene: Scene, side: int) -> Trial:
    """The trial about two objects whose prompt leaves out the object on the given side (protocol, E6)."""
    target, described = scene.objects[side], scene.objects[1 - side]
    return Trial(scene, scene_description((described,), target, commas=False), (described,), target)


@dataclass(frozen=True, slots=True)
class SpatialQuestion:
    """A question about what is next to a named object.

    Attributes:
        trial: Its target is the object that is asked for, its described object the reference.
        relation: One of RELATIONS.
    """

    trial: Trial
    relation: str


def draw_spatial_questions(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator
) -> list[SpatialQuestion]:
    """Questions about full grids: each relation and cell with such a neighbour about equally often (E8)."""
    places = [
        (name, cell)
        for name, (rows, columns) in RELATIONS.items()
        for cell in grid.cells
        if Cell(cell.row + rows, cell.column + columns) in grid.cells
    ]
    rounds = -(-trials // len(places))
    order = [i for _ in range(rounds) for i in rng.permutation(len(places))][:trials]
    found = []
    for relation, cell in (places[i] for i in order):
        shown = [objects[i] for i in rng.permutation(len(objects))[: len(grid.cells)]]
        scene = Scene(grid, tuple(shown), grid.cells)
        rows, columns = RELATIONS[relation]
        placed = dict(zip(grid.cells, shown, strict=True))
        reference, target = placed[cell], placed[Cell(cell.row + rows, cell.column + columns)]
        prompt = spatial_question(relation, reference, target.color)
        found.append(SpatialQuestion(Trial(scene, prompt, (reference,), target), relation))
    return found


def draw_counting_questions(
    grid: Grid, trials: int, rng: np.random.Generator, counts: Sequence[int] = range(3, 9)
) -> list[Trial]:
    """Questions how many different objects there are in random cells, each number about as often (E11)."""
    kinds = [
        Object(c, s)
        for c, s in product(
            ("red", "blue", "green", "yellow"), ("triangle", "square", "circle", "cross")
        )
    ]
    found = []
    for index in rng.permutation(trials):
        count = counts[index % len(counts)]
        shown = tuple(kinds[i] for i in rng.permutation(len(kinds))[:count])
        cells = tuple(grid.cells[i] for i in rng.permutation(len(grid.cells))[:count])
        scene = Scene(grid, shown, cells)
        found.append(Trial(scene, count_question(count), (), shown[0]))
    return found


def draw_listing_scenes(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator
) -> list[Scene]:
    """Scenes of two to four solids on textured ground, for prompts that list them (appendix B)."""
    found = []
    for index in range(trials):
        drawn = draw_balanced_trials(grid, objects, 1, rng)[0].scene
        count = int(rng.integers(2, len(grid.cells) + 1))
        kept = rng.permutation(len(drawn))[:count]
        setting = _draw_backdrop(index, rng)
        shown, cells = (tuple(of[i] for i in kept) for of in (drawn.objects, drawn.cells))
        found.append(Scene(grid, shown, cells, setting))
    return found


def continue_list(scene: Scene, listed: Sequence[Object]) -> Trial:
    """The trial in which a numbered list goes on after the objects already listed (appendix B)."""
    rest = [o for o in scene.objects if o not in listed] or list(scene.objects)
    return Trial(scene, numbered_list((*listed, rest[0]), len(listed)), tuple(listed), rest[0])
