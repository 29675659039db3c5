"""Scenes: objects at the cells of a grid, with their ground truth in cells, pixels and image tokens.

Geometry and colors follow Assouel et al. (arXiv 2506.15871 v2), measured from the stimuli embedded
in its figures; sizes are pixels at the paper's scale, where a cell is 56 px and a Qwen image token 28.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
    "green": (0, 255, 0),
    "purple": (128, 28, 184),
    "yellow": (232, 232, 14),
    "gray": (130, 130, 130),
    "pink": (255, 105, 180),
    "orange": (255, 140, 0),
    "black": (0, 0, 0),
}

SHAPES: dict[str, tuple[int, int]] = {
    "circle": (45, 45),
    "square": (42, 42),
    "triangle": (46, 39),
    "heart": (46, 50),
    "star": (52, 50),
    "cross": (39, 39),
    "umbrella": (52, 52),
    "plane": (42, 42),
    "sun": (54, 52),
}
"""Width and height of each shape in pixels, inside a cell of 56."""

REFERENCE_CELL = 56


class Cell(NamedTuple):
    """A place on the grid, counted from the top left."""

    row: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Object:
    """A color and a shape bound together."""

    color: str
    shape: str

    def __post_init__(self) -> None:
        if self.color not in COLORS:
            raise ValueError(f"unknown color {self.color!r}; known: {', '.join(COLORS)}")
        if self.shape not in SHAPES:
            raise ValueError(f"unknown shape {self.shape!r}; known: {', '.join(SHAPES)}")

    @classmethod
    def named(cls, name: str) -> Self:
        """The object called, for example, "red square"."""
        color, shape = name.split()
        return cls(color, shape)

    @property
    def name(self) -> str:
        """The object as prompts name it: "red square"."""
        return f"{self.color} {self.shape}"


@dataclass(frozen=True, slots=True, order=True)
class PhotographedObject(Object):
    """An object of a photograph, whose color and noun may be any words: "white elephant"."""

    def __post_init__(self) -> None:
        for word in (self.color, self.shape):
            if not re.fullmatch(r"[a-z]+", word):
                raise ValueError(f"{word!r} is not one word of lower-case letters")


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells of a canvas are, in pixels.

    Attributes:
        rows: Number of rows, and of columns (grids are square).
        cell: Side of a cell.
        gap: White space between neighbouring cells.
        margin: White space around the outer cells.
    """

    rows: int
    cell: int
    gap: int
    margin: int

    @property
    def canvas(self) -> int:
        """Side of the square image in pixels."""
        return self.rows * self.cell + (self.rows - 1) * self.gap + 2 * self.margin

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells in reading order."""
        return tuple(Cell(r, c) for r in range(self.rows) for c in range(self.rows))

    def box(self, cell: Cell) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of a cell in pixels, right and bottom exclusive."""
        if not (0 <= cell.row < self.rows and 0 <= cell.column < self.rows):
            raise ValueError(f"{cell} is not on a {self.rows}x{self.rows} grid")
        left = self.margin + cell.column * (self.cell + self.gap)
        top = self.margin + cell.row * (self.cell + self.gap)
        return left, top, left + self.cell, top + self.cell

    def centre(self, cell: Cell) -> tuple[float, float]:
        """Centre (x, y) of a cell in pixels: the coordinates of the position RSM (section A.2)."""
        left, top, right, bottom = self.box(cell)
        return (left + right) / 2, (top + bottom) / 2

    def tokens(self, cell: Cell, columns: int, rows: int | None = None) -> tuple[int, ...]:
        """Indices, row-major, of the image tokens that a cell touches.

        Args:
            cell: The cell.
            columns: Image tokens per row of the image.
            rows: Image tokens per column; as many as `columns` if not given.

        The image is taken to be resized to the token grid as a whole, so the indices hold for a
        subject that shrinks its input (LLaVA-1.5 shows a 392 px canvas at 336 px).
        """
        rows = rows or columns
        left, top, right, bottom = self.box(cell)
        side = self.canvas
        first_column, last_column = left * columns // side, (right * columns - 1) // side
        first_row, last_row = top * rows // side, (bottom * rows - 1) // side
        return tuple(
            r * columns + c
            for r in range(first_row, last_row + 1)
            for c in range(first_column, last_column + 1)
        )


PAPER_GRIDS = {n: Grid(n, cell=56, gap=56, margin=56) for n in (2, 3)}
"""Canvases of 56*(2n+1) pixels: 280 and 392 (Assouel et al., section 3.3)."""

EMBEDDED_GRIDS = {2: Grid(2, cell=28, gap=28, margin=14), 3: Grid(3, cell=28, gap=14, margin=0)}
"""The paper's layout at half scale with the outer white trimmed, so that one 112 px canvas holds both.

LLaVA has one image size; 112 px are 8x8 tokens of 14 px, each object covers 2x2 whole tokens as in
the paper, and at least one row or column of empty tokens lies between any two objects.
"""


REPRODUCED_GRIDS = {
    "paper": Grid(2, cell=100, gap=68, margin=34),
    "embedded": Grid(2, cell=34, gap=22, margin=11),
}
"""The public reproduction's layout (336 px, objects of 0.6 cells, across tokens), and the same at our scale."""


@dataclass(frozen=True, slots=True)
class UnevenGrid(Grid):
    """A grid with more white after its last cells, so that cells begin at whole tokens of an odd remainder.

    Attributes:
        after: Further white space right of the last column and below the last row, in pixels.
    """

    after: int

    @property
    def canvas(self) -> int:
        """Side of the square image in pixels."""
        cells = self.rows * self.cell + (self.rows - 1) * self.gap
        return cells + 2 * self.margin + self.after


PHOTO_GRID = Grid(2, cell=252, gap=0, margin=0)
"""Photographs are shown at 504 px, a whole number of tokens; their cells only tell left from right."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A textured ground with solid objects on it, in place of flat shapes on white.

    Attributes:
        kind: One of BACKDROPS.
        seed: Decides the texture, the light and where each object stands within its cell.
    """

    kind: str
    seed: int

    def __post_init__(self) -> None:
        if self.kind not in BACKDROPS:
            raise ValueError(f"unknown backdrop {self.kind!r}; known: {', '.join(BACKDROPS)}")


BACKDROPS = ("sand", "salt", "tiles")
"""Kinds of ground, after the beach, the salt desert and the museum of section 4.2."""


@dataclass(frozen=True, slots=True)
class Photo:
    """An image file in place of a drawing.

    Attributes:
        digest: SHA-256 of the file, hexadecimal.
        path: Where the file is; no part of what the photograph is.
        mirrored: Whether left and right are exchanged.
    """

    digest: str
    path: str = field(repr=False, compare=False)
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects at distinct cells of one grid.

    Attributes:
        grid: The canvas.
        objects: What is there.
        cells: Where, in the order of `objects`.
        setting: None for flat shapes on white; a backdrop with solids on it; a photograph.

    Raises:
        ValueError: A cell is off the grid or holds two objects, or the lengths differ.
    """

    grid: Grid
    objects: tuple[Object, ...]
    cells: tuple[Cell, ...]
    setting: Backdrop | Photo | None = None

    def __post_init__(self) -> None:
        if len(self.objects) != len(self.cells):
            raise ValueError(f"{len(self.objects)} objects for {len(self.cells)} cells")
        if len(set(self.cells)) != len(self.cells):
            raise ValueError(f"two objects in one cell: {self.cells}")
        for cell in self.cells:
            self.grid.box(cell)

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[tuple[Object, Cell]]:
        return iter(zip(self.objects, self.cells, strict=True))

    def at(self, cell: Cell) -> Object | None:
        """The object in a cell, or None."""
        return dict(zip(self.cells, self.objects, strict=True)).get(cell)

    def cell_of(self, obj: Object) -> Cell:
        """The cell of an object; ValueError if the object is not in the scene or is there twice."""
        found = [cell for o, cell in self if o == obj]
        if len(found) != 1:
            raise ValueError(f"{obj.name} is in the scene {len(found)} times")
        return found[0]

    @property
    def key(self) -> str:
        """A name for the pixels: equal for two scenes that look the same, whatever the listing order.

        Intervals are clustered by it, and encoded images are shared by it.
        """
        placed = sorted((cell, obj.name) for obj, cell in self)
        text = repr(
            (self.grid, placed) if self.setting is None else (self.grid, placed, self.setting)
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def replaced(self, old: Object, new: Object) -> Scene:
        """The same scene with one object turned into another."""
        self.cell_of(old)
        return replace(self, objects=tuple(new if o == old else o for o in self.objects))

    def swapped(self, first: Object, second: Object) -> Scene:
        """The same scene with two objects at each other's cells."""
        exchange = {first: self.cell_of(second), second: self.cell_of(first)}
        return replace(self, cells=tuple(exchange.get(o, cell) for o, cell in self))


def objects(names: Iterable[str]) -> tuple[Object, ...]:
    """Objects from names such as "red square"."""
    return tuple(Object.named(name) for name in names)
