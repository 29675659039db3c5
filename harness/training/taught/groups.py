"""Groups of four scenes that differ in one thing each, as the contrasts of section 3.4 do.

The first scene shows a target, the second has it and a described object at each other's places, the third has
another object in the target's place, and the fourth is the second with that other object. Every image has two
prompts, which leave out one or the other of the two objects that trade places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.stimuli.design import HIGH_ENTROPY, PCA_CELLS
from harness.stimuli.prompt import Prompt, scene_description
from harness.stimuli.scene import EMBEDDED_GRIDS, Cell, Grid, Object, Scene
from harness.training.tasks import draw_objects, is_held_out

KINDS = 4
PROMPTS = 2
SWAPPED = (1, 0, 3, 2)
"""For each scene of a group, the one in which the two objects have traded places."""
REPLACED = (2, 3, 0, 1)
"""For each scene of a group, the one with another target in the same place."""


@dataclass(frozen=True)
class Layout:
    """How many objects a group's scenes show, on which cells of which canvas, and how prompts are written.

    Attributes:
        grid: The canvas.
        cells: Cells that may hold objects.
        objects: Number of objects.
        commas: Whether a comma follows the last described object, too.
        groups: Groups in one step: fewer where prompts are long.
        share: How often the layout is drawn, relative to the others.
    """

    grid: Grid
    cells: tuple[Cell, ...]
    objects: int
    commas: bool
    groups: int
    share: float


_TWO, _THREE = EMBEDDED_GRIDS[2], EMBEDDED_GRIDS[3]

LAYOUTS = (
    Layout(_TWO, _TWO.cells, 2, False, 8, 0.5),
    Layout(_TWO, _TWO.cells, 4, True, 5, 0.3),
    Layout(_TWO, _TWO.cells, 3, True, 6, 0.05),
    Layout(_TWO, _TWO.cells, 2, True, 8, 0.05),
    Layout(_THREE, PCA_CELLS, 6, True, 3, 0.06),
)
"""The mix of layouts in the first part of the training, mostly the two objects of section 3.4."""

FURTHER = (
    Layout(_TWO, _TWO.cells, 2, False, 8, 0.3),
    Layout(_TWO, _TWO.cells, 4, True, 5, 0.55),
    Layout(_TWO, _TWO.cells, 3, True, 6, 0.05),
    Layout(_TWO, _TWO.cells, 2, True, 8, 0.03),
    Layout(_THREE, PCA_CELLS, 6, True, 3, 0.07),
)
"""The mix in the second part, mostly the four objects of section 3.3, whose places are learned last."""


@dataclass(frozen=True)
class Group:
    """Four scenes with two prompts each.

    Attributes:
        scenes: The scenes, in the order that the module's first lines give.
        prompts: For each scene its prompts.
        described: For each scene and prompt the objects that the prompt mentions.
        targets: For each scene and prompt the object that is left out.
        swapped: For each scene and prompt the object that trades places with the target.
    """

    scenes: tuple[Scene, ...]
    prompts: tuple[tuple[Prompt, Prompt], ...]
    described: tuple[tuple[tuple[Object, ...], ...], ...]
    targets: tuple[tuple[Object, Object], ...]
    swapped: tuple[tuple[Object, Object], ...]


def draw_group(layout: Layout, rng: np.random.Generator, *, held_out: bool = False) -> Group:
    """Draw a group whose scenes are all trained on, or with `held_out` one whose first scene never is."""
    while True:
        group = _draw(layout, rng)
        if held_out and is_held_out(group.scenes[0]):
            return group
        if not held_out and not any(map(is_held_out, group.scenes)):
            return group


def _draw(layout: Layout, rng: np.random.Generator) -> Group:
    shown = _draw_objects(layout.objects + 1, rng)
    other, shown = shown[0], shown[1:]
    where = rng.choice(len(layout.cells), layout.objects, replace=False)
    first = Scene(layout.grid, shown, tuple(layout.cells[i] for i in where))
    target, partner = shown[0], shown[1]
    third = first.replaced(target, other)
    scenes = (
        first,
        first.swapped(target, partner),
        third,
        third.swapped(other, partner),
    )
    order = [int(i) for i in rng.permutation(range(1, layout.objects))]
    prompts, described, targets, partners = [], [], [], []
    for scene in scenes:
        left_out = scene.objects[0]
        # In the second prompt the two objects change roles, and the rest stays where it is.
        named = tuple(scene.objects[i] for i in order)
        exchanged = tuple(left_out if o == partner else o for o in named)
        prompts.append(
            (
                scene_description(named, left_out, commas=layout.commas),
                scene_description(exchanged, partner, commas=layout.commas),
            )
        )
        described.append((named, exchanged))
        targets.append((left_out, partner))
        partners.append((partner, left_out))
    return Group(scenes, tuple(prompts), tuple(described), tuple(targets), tuple(partners))


def _draw_objects(count: int, rng: np.random.Generator) -> tuple[Object, ...]:
    """Objects that share no feature, half of the time from the paper's nine."""
    if rng.random() < 0.5:
        nine = HIGH_ENTROPY[3]
        return tuple(nine[i] for i in rng.permutation(len(nine))[:count])
    return draw_objects(count, "high", rng)


def draw_layout(layouts: Sequence[Layout], rng: np.random.Generator) -> Layout:
    """Draw one of the layouts by their shares."""
    shares = np.array([layout.share for layout in layouts])
    return layouts[int(rng.choice(len(layouts), p=shares / shares.sum()))]
