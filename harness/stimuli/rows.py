"""Three items in a row or column, and the question for a neighbour of the middle one.

Stimuli of Cui et al. (arXiv 2603.22278 v2); geometry and palette as restated from their code.

A row lies in the middle row or the middle column of a 3x3 grid, so that rows are scenes like all others.
Items are named by their place along the row: 0 is the left or upper one, 1 the middle, 2 the right or lower
one. A pair of trials has five words, t0 to t4 of the paper: the clean answer, the middle item, the other
outer item of the clean image, the counterfactual answer, and the other outer item of the counterfactual
image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

import numpy as np

from harness.stimuli.prompt import Trial, line_question
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
    UnevenGrid,
    objects,
)

Direction = Literal["left", "right", "above", "below"]
DIRECTIONS: tuple[Direction, ...] = ("left", "right", "above", "below")
"""What can be asked: the item to the left of the middle one, and so on."""

OPPOSITE: dict[Direction, Direction] = {
    "left": "right",
    "right": "left",
    "above": "below",
    "below": "above",
}

Setting = Literal["squares", "shapes", "solids"]
SETTINGS: tuple[Setting, ...] = ("squares", "shapes", "solids")
"""Squares and Shapes of the paper; solids on textured ground stand in for its photographed Objects."""

ROW_ITEMS: dict[str, tuple[Object, ...]] = {
    "squares": objects(f"{c} square" for c in ("red", "green", "blue", "black", "orange", "gray")),
    "shapes": objects(
        ("red square", "green circle", "blue triangle", "black star", "orange cross", "gray heart")
    ),
}
"""The paper's items. Orange stands for its brown, as in its code for Pixtral: brown is no color here."""

NOUNS: dict[Setting, str] = {"squares": "square", "shapes": "shape", "solids": "shape"}
"""What the item that is asked for is called."""

ROW_GRID = Grid(3, cell=56, gap=56, margin=28)
"""336 px: items of 2x2 tokens of Qwen2-VL in 12x12, two tokens apart (protocol of the paper, 1.2)."""

FAMILY_ROW_GRIDS: dict[str, Grid] = {
    "gemma3": UnevenGrid(3, cell=168, gap=168, margin=0, after=56),
}
"""896 px: items of 3x3 tokens of Gemma 3 in 16x16, three apart, one off the centre, as in the paper."""

SHIFTED_ROW_GRID = UnevenGrid(4, cell=56, gap=28, margin=0, after=28)
"""Four places of a row on 336 px, of which three neighbouring ones hold items."""

FAMILY_SHIFTED_GRIDS: dict[str, Grid] = {
    "gemma3": UnevenGrid(4, cell=168, gap=56, margin=0, after=56),
}
"""The same on 896 px."""

EMBEDDED_ROW_GRID = EMBEDDED_GRIDS[3]
"""112 px: items of 2x2 tokens in 8x8, one token apart."""

EMBEDDED_SHIFTED_GRID = Grid(4, cell=28, gap=0, margin=0)
"""Four places of a row on 112 px, without gaps, since there is no room for any."""


def choose_row_grid(family: str, scale: str) -> Grid:
    """The canvas of rows for a family of `harness.subjects.anatomy`, at "embedded" or "paper" scale."""
    return EMBEDDED_ROW_GRID if scale == "embedded" else FAMILY_ROW_GRIDS.get(family, ROW_GRID)


def choose_shifted_grid(family: str, scale: str) -> Grid:
    """The canvas of four places on which the same row is shown at two places."""
    if scale == "embedded":
        return EMBEDDED_SHIFTED_GRID
    return FAMILY_SHIFTED_GRIDS.get(family, SHIFTED_ROW_GRID)


def is_across(direction: Direction) -> bool:
    """Whether a question is about a row, not about a column."""
    return direction in ("left", "right")


def list_row_cells(grid: Grid, direction: Direction, *, shift: int = 0) -> tuple[Cell, Cell, Cell]:
    """The three cells of a row or column, from the left or the top.

    Args:
        grid: Of three rows, or of four for shifted rows.
        direction: Left and right are asked about rows, above and below about columns.
        shift: How many cells the row begins after the edge; 0, or 1 on a grid of four.
    """
    middle = (grid.rows - 1) // 2
    along = range(shift, shift + 3)
    found = [Cell(middle, i) if is_across(direction) else Cell(i, middle) for i in along]
    return found[0], found[1], found[2]


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """A question about a row.

    Attributes:
        trial: Its described object is the middle item, its target the one that is asked for.
        direction: Where the target is from the middle item.
        setting: One of SETTINGS.
    """

    trial: Trial
    direction: Direction
    setting: Setting

    @property
    def items(self) -> tuple[Object, Object, Object]:
        """The items from the left or the top."""
        first, middle, last = (o for _, o in sorted((c, o) for o, c in self.trial.scene))
        return first, middle, last

    @property
    def place(self) -> int:
        """Place of the target along the row, 0 or 2."""
        return 0 if self.direction in ("left", "above") else 2

    def mirrored(self) -> RowQuestion:
        """The same question about the row in the other order, whose answer is the other outer item."""
        return ask_row(
            self.trial.scene.grid,
            self.items[::-1],
            self.direction,
            self.setting,
            backdrop=_find_backdrop(self.trial.scene),
            cells=tuple(sorted(self.trial.scene.cells)),
        )

    def shown_on(self, scene: Scene) -> Trial:
        """The same prompt with another image, such as a reference that shows one item or nothing."""
        return replace(self.trial, scene=scene)


def ask_row(
    grid: Grid,
    items: Sequence[Object],
    direction: Direction,
    setting: Setting,
    *,
    backdrop: Backdrop | None = None,
    cells: Sequence[Cell] | None = None,
) -> RowQuestion:
    """The question what stands in one direction of the middle one of three items.

    Args:
        grid: The canvas.
        items: From the left or the top.
        direction: What is asked.
        setting: Decides the words.
        backdrop: The ground, for solids.
        cells: Where the items stand if not in the middle of the canvas.
    """
    cells = tuple(cells or list_row_cells(grid, direction))
    scene = Scene(grid, tuple(items), cells, backdrop)
    target = items[0 if direction in ("left", "above") else 2]
    prompt = line_question(direction, items[1], target, NOUNS[setting])
    return RowQuestion(Trial(scene, prompt, (items[1],), target), direction, setting)


@dataclass(frozen=True, slots=True)
class RowPair:
    """A clean question about a row and its counterfactual.

    Attributes:
        clean: Activations are patched into its run.
        counterfactual: Activations are taken from its run.
        items: t0 to t4, or t0 to t2 where the counterfactual shows the same items.
    """

    clean: RowQuestion
    counterfactual: RowQuestion
    items: tuple[Object, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The answer word of each item; c0 to c4 are their probabilities."""
        return tuple(item.color for item in self.items)

    @property
    def direction(self) -> Direction:
        """What the clean question asks."""
        return self.clean.direction

    @property
    def key(self) -> str:
        """A name for the two images, whichever is the clean one; intervals are clustered by it."""
        return "+".join(sorted((self.clean.trial.scene.key, self.counterfactual.trial.scene.key)))


def make_opposite_pair(
    grid: Grid,
    items: Sequence[Object],
    direction: Direction,
    setting: Setting,
    backdrop: Backdrop | None = None,
) -> RowPair:
    """The pair of experiment A: other outer items, and the opposite question (protocol, 2).

    If the last token holds an ordinal, its counterfactual value moves the answer from t0 to t2; if it holds the
    word, to t3.
    """
    t0, t1, t2, t3, t4 = items
    clean = ask_row(grid, _place(t0, t1, t2, direction), direction, setting, backdrop=backdrop)
    other = OPPOSITE[direction]
    counterfactual = ask_row(grid, _place(t3, t1, t4, other), other, setting, backdrop=backdrop)
    return RowPair(clean, counterfactual, tuple(items))


def make_same_pair(
    grid: Grid,
    items: Sequence[Object],
    direction: Direction,
    setting: Setting,
    backdrop: Backdrop | None = None,
) -> RowPair:
    """The donor of the same direction: other outer items, the same question (protocol, claim A4).

    If the last token holds an ordinal, its counterfactual value changes nothing.
    """
    t0, t1, t2, t3, t4 = items
    clean = ask_row(grid, _place(t0, t1, t2, direction), direction, setting, backdrop=backdrop)
    donor = ask_row(grid, _place(t3, t1, t4, direction), direction, setting, backdrop=backdrop)
    return RowPair(clean, donor, tuple(items))


def make_mirrored_pair(
    grid: Grid,
    items: Sequence[Object],
    direction: Direction,
    setting: Setting,
    backdrop: Backdrop | None = None,
) -> RowPair:
    """The pair of experiments C and E: the row in the other order, the same question (protocol, 4)."""
    t0, t1, t2 = items[:3]
    clean = ask_row(grid, _place(t0, t1, t2, direction), direction, setting, backdrop=backdrop)
    return RowPair(clean, clean.mirrored(), (t0, t1, t2))


def _place(
    target: Object, middle: Object, other: Object, direction: Direction
) -> tuple[Object, Object, Object]:
    """The items from the left or the top, with the target where the direction says."""
    row = (target, middle, other)
    return row if direction in ("left", "above") else (other, middle, target)


PairMaker = Callable[[Grid, Sequence[Object], Direction, Setting, "Backdrop | None"], RowPair]
"""`make_opposite_pair`, `make_same_pair` or `make_mirrored_pair`."""


def draw_row_pairs(
    make: PairMaker, grid: Grid, setting: Setting, trials: int, rng: np.random.Generator
) -> list[RowPair]:
    """Draw pairs, each direction about equally often.

    The same state of the generator gives the same items to every maker.
    """
    found = []
    for direction in _draw_directions(trials, rng):
        items, backdrop = draw_items(setting, 5, rng)
        found.append(make(grid, items, direction, setting, backdrop))
    return found


def draw_row_questions(
    grid: Grid, setting: Setting, trials: int, rng: np.random.Generator
) -> list[RowQuestion]:
    """Draw questions about rows, each direction about equally often."""
    found = []
    for direction in _draw_directions(trials, rng):
        items, backdrop = draw_items(setting, 3, rng)
        found.append(ask_row(grid, items, direction, setting, backdrop=backdrop))
    return found


def list_row_questions(grid: Grid, setting: Setting) -> list[RowQuestion]:
    """All questions of a setting of the paper: every ordered triple of its six items in four directions, 480.

    Raises:
        ValueError: Solids are drawn, there is no list of them.
    """
    if setting not in ROW_ITEMS:
        raise ValueError(f"{setting} have no list of questions: draw them")
    return [
        ask_row(grid, items, direction, setting)
        for items in permutations(ROW_ITEMS[setting], 3)
        for direction in DIRECTIONS
    ]


def draw_shifted_questions(
    grid: Grid, setting: Setting, trials: int, rng: np.random.Generator
) -> list[tuple[RowQuestion, RowQuestion]]:
    """Draw the same rows twice, once as far to the left or top as they go and once a place further.

    Args:
        grid: Of four places, see `choose_shifted_grid`. The first item of the second row stands where the
            second item of the first row stands.
        setting: One of SETTINGS.
        trials: How many rows.
        rng: Where the randomness comes from.
    """
    found = []
    for direction in _draw_directions(trials, rng):
        items, backdrop = draw_items(setting, 3, rng)
        cells = [list_row_cells(grid, direction, shift=shift) for shift in (0, 1)]
        first, second = (
            ask_row(grid, items, direction, setting, backdrop=backdrop, cells=c) for c in cells
        )
        found.append((first, second))
    return found


def draw_items(
    setting: Setting, count: int, rng: np.random.Generator
) -> tuple[tuple[Object, ...], Backdrop | None]:
    """Draw items of distinct answers, and the ground that they stand on, which is None on white."""
    if setting in ROW_ITEMS:
        shown = ROW_ITEMS[setting]
        return tuple(shown[i] for i in rng.permutation(len(shown))[:count]), None
    colors, shapes = (
        [names[i] for i in rng.permutation(len(names))[:count]]
        for names in (tuple(COLORS), tuple(SHAPES))
    )
    backdrop = Backdrop(BACKDROPS[int(rng.integers(len(BACKDROPS)))], int(rng.integers(2**31)))
    return tuple(Object(c, s) for c, s in zip(colors, shapes, strict=True)), backdrop


def show_alone(question: RowQuestion, item: Object) -> Scene:
    """The image that shows one item alone in the middle of the canvas (protocol, 5)."""
    scene = question.trial.scene
    middle = list_row_cells(scene.grid, question.direction)[1]
    return Scene(scene.grid, (item,), (middle,), scene.setting)


def show_nothing(question: RowQuestion) -> Scene:
    """The image of the ground alone, of the same size (protocol, 5)."""
    scene = question.trial.scene
    return Scene(scene.grid, (), (), scene.setting)


def _draw_directions(trials: int, rng: np.random.Generator) -> list[Direction]:
    return [DIRECTIONS[i % len(DIRECTIONS)] for i in rng.permutation(trials)]


def _find_backdrop(scene: Scene) -> Backdrop | None:
    return scene.setting if isinstance(scene.setting, Backdrop) else None
