"""Every scene of two objects on a grid, in families that hold both sides of every contrast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from harness.stimuli.design import EVERY_OBJECT, HIGH_ENTROPY, LOW_ENTROPY
from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import Cell, Grid, Object, Scene

OBJECTS: dict[str, tuple[Object, ...]] = {
    "distinct": HIGH_ENTROPY[3],
    "crowded": LOW_ENTROPY[3],
    "every": EVERY_OBJECT,
}
"""The sets that two objects are taken from: nine that share no feature, of which the claims show a control two
(section 3.4); nine of three colors and three shapes; every color with every shape."""

ROWS = 160
"""Trials in a family at most, so that one fits into a few hundred MB."""

Named = tuple[Object, Object, tuple[Cell, Cell]]
"""The object that a prompt describes, the target, and the cells of both."""


@dataclass(frozen=True)
class Family:
    """Trials on the same two cells, with the other side of every contrast of section 3.4 among them.

    Attributes:
        trials: N trials; the first object of each scene is described, the second is the target.
        exchanged: For each the trial in which both objects have each other's cells, int64 [N].
        replaced: For each the trial in which another object, of other features, has the target's cell, int64
            [N].
        strange: For each a trial with other objects in the other order, int64 [N]; taken from a family on
            other cells, nothing is alike but the sentence's form.
    """

    trials: tuple[Trial, ...]
    exchanged: NDArray[np.int64]
    replaced: NDArray[np.int64]
    strange: NDArray[np.int64]


def count_trials(grid: Grid, objects: Sequence[Object]) -> int:
    """The number of trials: ordered pairs of cells times ordered pairs of objects."""
    cells, kinds = len(grid.cells), len(objects)
    return cells * (cells - 1) * kinds * (kinds - 1)


def list_families(grid: Grid, objects: Sequence[Object]) -> Iterator[Family]:
    """Yield every trial of two objects on a grid once, in families.

    A trial is a scene and which of its two objects the prompt describes; the other is the target. No symmetry
    is used to leave trials out: weights that nothing is wired to are noise, so that no exchange of colors,
    shapes or cells leaves the weights as they are. Which object a scene lists first makes no difference to its
    pixels and is not counted.

    Args:
        grid: Where the cells are.
        objects: At least four, so that of each there are others that share no feature with two of them.
    """
    block = max(1, ROWS // (2 * (len(objects) - 1)))
    for start in range(0, len(objects), block):
        for cells in combinations(grid.cells, 2):
            yield _make_family(grid, objects, objects[start : start + block], cells)


def _make_family(
    grid: Grid, objects: Sequence[Object], described: Sequence[Object], cells: tuple[Cell, Cell]
) -> Family:
    named: list[Named] = [
        (own, target, where)
        for own, target in product(described, objects)
        if own != target
        for where in (cells, cells[::-1])
    ]
    index = {name: i for i, name in enumerate(named)}
    trials = []
    for own, target, where in named:
        prompt = scene_description((own,), target, commas=False)
        trials.append(Trial(Scene(grid, (own, target), where), prompt, (own,), target))
    return Family(
        tuple(trials),
        np.array([index[own, target, where[::-1]] for own, target, where in named]),
        np.array(
            [index[own, _find_other(objects, own, target), where] for own, target, where in named]
        ),
        np.array([index[_find_strange(described, objects, name)] for name in named]),
    )


def _find_other(objects: Sequence[Object], own: Object, target: Object) -> Object:
    """The next object after the target that shares no feature with it or with the described one."""
    for other in _follow(objects, target):
        if all(other.color != o.color and other.shape != o.shape for o in (own, target)):
            return other
    raise ValueError(f"no object shares no feature with {own.name} and {target.name}")


def _find_strange(described: Sequence[Object], objects: Sequence[Object], named: Named) -> Named:
    """A trial of the same family with another described object, if there is one, and another target."""
    own, target, where = named
    first = next((o for o in _follow(described, own) if o != target), own)
    second = next(o for o in _follow(objects, target) if o not in (own, first))
    return first, second, where[::-1]


def _follow(objects: Sequence[Object], of: Object) -> Iterator[Object]:
    """The other objects, beginning behind one of them."""
    at = objects.index(of)
    yield from (*objects[at + 1 :], *objects[:at])
