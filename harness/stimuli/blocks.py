"""Trials that tell places relative to a group of objects from places in the image (section 4.1).

Four objects fill a 2x2 block in one corner of the 3x3 canvas. All four blocks share the middle cell, which is
a different corner of each: there a code relative to the group and one relative to the image differ most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import Cell, Grid, Object, Scene

CORNERS = tuple(product((0, 1), (0, 1)))
"""Row and column of each block's upper left cell; also of each slot within a block, in reading order."""

MIDDLE = Cell(1, 1)
"""The cell that all blocks share."""


def slot_of(scene: Scene, obj: Object) -> Cell:
    """The slot of an object in its block: its cell, counted from the upper left cell of the group."""
    cell = scene.cell_of(obj)
    return Cell(
        cell.row - min(c.row for c in scene.cells),
        cell.column - min(c.column for c in scene.cells),
    )


def block_scene(grid: Grid, objects: Sequence[Object], corner: tuple[int, int]) -> Scene:
    """The scene of four objects that fill one block in reading order."""
    cells = tuple(Cell(corner[0] + row, corner[1] + column) for row, column in CORNERS)
    return Scene(grid, tuple(objects), cells)


def draw_block_trials(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator
) -> list[Trial]:
    """Scene descriptions in which the target is at every slot of every block equally often.

    The paper shows four fixed objects; here four of `objects` are drawn for each trial, so that the words
    do not determine the target.
    """
    pairs = list(product(CORNERS, range(4)))
    rounds = -(-trials // len(pairs))
    drawn = []
    for index in [i for _ in range(rounds) for i in rng.permutation(len(pairs))][:trials]:
        corner, place = pairs[index]
        four = [objects[i] for i in rng.permutation(len(objects))[:4]]
        scene = block_scene(grid, four, corner)
        described = tuple(four[i] for i in rng.permutation(4) if i != place)
        drawn.append(
            Trial(scene, scene_description(described, four[place]), described, four[place])
        )
    return drawn


@dataclass(frozen=True, slots=True)
class Transplant:
    """A position ID that is taken from one image and put into another (Figure 13).

    Attributes:
        source: The trial that the ID comes from; its target is in a cell that both blocks share.
        recipient: A trial about the same objects in another block; its prompt describes two of them.
        relative: The recipient's object at the slot that the source's target has in its own block.
        absolute: The recipient's object in the cell that the source's target is in.
    """

    source: Trial
    recipient: Trial
    relative: Object
    absolute: Object


def draw_transplants(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator
) -> list[Transplant]:
    """Draw pairs of a source and a recipient scene whose objects stand in two different corner blocks.

    Each ordered pair of corners comes about equally often.

    The recipient's prompt leaves out both candidates, so that without the transplant either could come next;
    the source's target is one of the two objects that it describes.
    """
    couples = list(permutations(CORNERS, 2))
    rounds = -(-trials // len(couples))
    order = [couples[i] for _ in range(rounds) for i in rng.permutation(len(couples))][:trials]
    return [_draw_transplant(grid, objects, first, second, rng) for first, second in order]


def draw_contested_transplants(
    grid: Grid, objects: Sequence[Object], trials: int, rng: np.random.Generator
) -> list[Transplant]:
    """Draw pairs in which rival explanations of a transplanted ID name five different objects.

    The recipient shows four objects that the source does not show, and its prompt leaves out one of them. Of
    the three that it mentions, the last is neither candidate; and the source has three objects and mentions
    two, so that its target, too, comes third in the text. So the answer is one object if the ID is a place in
    the group, another if it is a place in the image, the third if it is a place in the text, the fourth if
    the recipient answers by content, and none of these if the source's answer is carried over.

    Each ordered pair of corners comes about equally often.

    Raises:
        ValueError: Fewer than seven objects.
    """
    if len(objects) < 7:
        raise ValueError(f"{len(objects)} objects for two scenes of three and of four")
    couples = list(permutations(CORNERS, 2))
    rounds = -(-trials // len(couples))
    order = [couples[i] for _ in range(rounds) for i in rng.permutation(len(couples))][:trials]
    return [_draw_contested(grid, objects, first, second, rng) for first, second in order]


def _draw_contested(
    grid: Grid,
    objects: Sequence[Object],
    first: tuple[int, int],
    second: tuple[int, int],
    rng: np.random.Generator,
) -> Transplant:
    where, same_slot = _draw_shared_cell(first, second, rng)
    shown = [objects[i] for i in rng.permutation(len(objects))[:7]]
    target, *others = shown[:3]
    corners = [Cell(first[0] + r, first[1] + c) for r, c in CORNERS]
    beside = [corners[i] for i in rng.permutation(4) if corners[i] != where]
    source = Scene(grid, (target, *others), (where, *beside[:2]))
    relative, absolute, third, unnamed = shown[3:]
    free = [Cell(second[0] + r, second[1] + c) for r, c in CORNERS]
    left = [free[i] for i in rng.permutation(4) if free[i] not in (same_slot, where)]
    recipient = Scene(grid, (relative, absolute, third, unnamed), (same_slot, where, *left))
    told = tuple((relative, absolute)[i] for i in rng.permutation(2))
    described = (*told, third)
    return Transplant(
        Trial(source, scene_description(others, target), tuple(others), target),
        Trial(recipient, scene_description(described, unnamed), described, unnamed),
        relative=relative,
        absolute=absolute,
    )


def _draw_shared_cell(
    first: tuple[int, int], second: tuple[int, int], rng: np.random.Generator
) -> tuple[Cell, Cell]:
    """A cell that two blocks share, and the cell of the second at the slot which that is of the first."""
    shared = [
        Cell(r, c)
        for r, c in product(range(3), repeat=2)
        if all(0 <= r - corner[0] <= 1 and 0 <= c - corner[1] <= 1 for corner in (first, second))
    ]
    where = shared[rng.integers(len(shared))]
    return where, Cell(second[0] + where.row - first[0], second[1] + where.column - first[1])


def _draw_transplant(
    grid: Grid,
    objects: Sequence[Object],
    first: tuple[int, int],
    second: tuple[int, int],
    rng: np.random.Generator,
) -> Transplant:
    where, same_slot = _draw_shared_cell(first, second, rng)
    slot = (where.row - first[0], where.column - first[1])
    four = [objects[i] for i in rng.permutation(len(objects))[:4]]
    source = block_scene(grid, four, first)
    target = four[CORNERS.index(slot)]
    candidates = (same_slot, where)
    others = [o for o in four if o != target]
    others = [others[i] for i in rng.permutation(3)]
    free = [Cell(second[0] + r, second[1] + c) for r, c in CORNERS]
    left = [c for c in free if c not in candidates]
    # The source's target must not be a candidate: its features, not its place, would then be the answer.
    placed = {candidates[0]: others[0], candidates[1]: others[1]}
    placed |= dict(zip(left, (target, others[2]), strict=True))
    recipient = Scene(grid, tuple(placed.values()), tuple(placed))
    rest = [o for o in four if o != target]
    told = tuple(rest[i] for i in rng.permutation(3))
    two = tuple((target, others[2])[i] for i in rng.permutation(2))
    return Transplant(
        Trial(source, scene_description(told, target), told, target),
        Trial(recipient, scene_description(two, others[0]), two, others[0]),
        relative=others[0],
        absolute=others[1],
    )
