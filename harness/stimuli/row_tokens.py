"""Which image tokens belong to the items of a row, to the strips around them, and to the background.

Tokens are indices into the image tokens of one image, row by row. Two regions that are exchanged have their
tokens in one order, so that the token at one offset in the first goes to the same offset in the last. The
paper's strips are thirds of the canvas; where items do not stand in the middle of their third, an exchange of
thirds moves an item off its place by a token. Such strips are misaligned (protocol of the paper, 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harness.stimuli.directions import is_across
from harness.stimuli.rows import RowQuestion
from harness.stimuli.scene import Cell, Grid

Tokens = tuple[int, ...]


class NoRowTokens(ValueError):
    """The image tokens of a subject cannot be told apart by the items of a row; the message says why."""


class Regions(NamedTuple):
    """Two regions of equal shape that are exchanged, tokens at the same offsets in the same order."""

    first: Tokens
    last: Tokens


@dataclass(frozen=True)
class RowTokens:
    """The image tokens of a row or column of three items.

    Attributes:
        items: Of each item from the left or the top, all of equal number.
        aligned: The widest outer strips within the outer thirds in which items have the same offset; in a row,
            all rows of some columns.
        misaligned: Outer strips in which the items' offsets differ by a token: the outer thirds where they do
            by themselves, as in the paper for Gemma 3, else the aligned strips without one line on either side;
            None where there is no room for it.
        thirds: Of the canvas, one around each item; the middle one is between the outer ones.
        crosswise: Strips of the aligned ones' width in the wrong orientation, which hold no item.
        total: Number of image tokens.
    """

    items: tuple[Tokens, Tokens, Tokens]
    aligned: Regions
    misaligned: Regions | None
    thirds: tuple[Tokens, Tokens, Tokens]
    crosswise: Regions
    total: int

    @property
    def outer(self) -> Regions:
        """The tokens of the two outer items."""
        return Regions(self.items[0], self.items[2])

    @property
    def background(self) -> Tokens:
        """All tokens of no item."""
        held = {t for item in self.items for t in item}
        return tuple(t for t in range(self.total) if t not in held)

    @property
    def around(self) -> Regions:
        """The aligned strips without the items; both empty where strips are as long as their items."""
        held = {t for item in self.items for t in item}
        first, last = (tuple(t for t in strip if t not in held) for strip in self.aligned)
        return Regions(first, last)

    def draw_background(self, count: int, rng: np.random.Generator) -> Regions:
        """Draw two distinct sets of `count` background tokens each, for the exchange that moves no item.

        Raises:
            NoRowTokens: There are not as many.
        """
        if 2 * count > len(self.background):
            raise NoRowTokens(
                f"twice {count} background tokens are wanted, and there are {len(self.background)}"
            )
        drawn = [int(t) for t in rng.choice(self.background, 2 * count, replace=False)]
        return Regions(tuple(sorted(drawn[:count])), tuple(sorted(drawn[count:])))


def find_row_tokens(question: RowQuestion, image_grid: tuple[int, int] | None) -> RowTokens:
    """The image tokens of a question's row, for a subject whose tokens form (rows, columns).

    Raises:
        NoRowTokens: The tokens form no grid; two items share a token or cover different numbers of tokens; an
            item does not lie within its third of the canvas.
    """
    if image_grid is None:
        raise NoRowTokens("the image tokens form no grid, so that they belong to no place")
    first, middle, last = find_item_tokens(question, image_grid)
    rows, columns = image_grid
    grid, cells = question.trial.scene.grid, sorted(question.trial.scene.cells)
    across = is_across(question.direction)
    lines, length = (columns, rows) if across else (rows, columns)

    def take(begin: int, end: int, *, along: bool) -> Tokens:
        """All tokens of some lines: of columns `along` a row of items, else of rows."""
        far = rows if along else columns
        return tuple(
            at * columns + line if along else line * columns + at
            for at in range(far)
            for line in range(begin, end)
        )

    left, right = (_find_span(grid, cell, lines, across=across) for cell in (cells[0], cells[2]))
    begin, end = round(lines / 3), round(2 * lines / 3)
    if left[1] > begin or right[0] < end:
        raise NoRowTokens(
            f"the outer items stand at lines {left} and {right} of {lines}, not before line {begin} and "
            f"from line {end} on"
        )
    before = min(left[0], right[0] - end)
    behind = min(begin - left[1], lines - right[1])
    strips = [(span[0] - before, span[1] + behind) for span in (left, right)]
    odd: list[tuple[int, int]] = []
    if left[0] != right[0] - end:
        odd = [(0, begin), (end, lines)]
    elif before and behind:
        odd = [(strips[0][0] + 1, strips[0][1]), (strips[1][0], strips[1][1] - 1)]
    width = strips[0][1] - strips[0][0]
    return RowTokens(
        (first, middle, last),
        Regions(*(take(*strip, along=across) for strip in strips)),
        Regions(*(take(*strip, along=across) for strip in odd)) if odd else None,
        (
            take(0, begin, along=across),
            take(begin, end, along=across),
            take(end, lines, along=across),
        ),
        Regions(*(take(at, at + width, along=not across) for at in (0, length - width))),
        rows * columns,
    )


def find_item_tokens(
    question: RowQuestion, image_grid: tuple[int, int]
) -> tuple[Tokens, Tokens, Tokens]:
    """The image tokens of each item of a row from the left or the top, for tokens of (rows, columns).

    Raises:
        NoRowTokens: Two items share a token or cover different numbers of tokens.
    """
    rows, columns = image_grid
    grid = question.trial.scene.grid
    first, middle, last = (
        grid.tokens(cell, columns, rows) for cell in sorted(question.trial.scene.cells)
    )
    sizes = [len(item) for item in (first, middle, last)]
    if len({*first, *middle, *last}) != sum(sizes):
        raise NoRowTokens(f"items of a row share image tokens in a grid of {rows}x{columns}")
    if len(set(sizes)) != 1:
        raise NoRowTokens(f"the items of a row cover {sizes} image tokens, not equally many")
    return first, middle, last


def _find_span(grid: Grid, cell: Cell, lines: int, *, across: bool) -> tuple[int, int]:
    """The first of the lines of tokens that a cell touches along the row, and the first one after it."""
    left, top, right, bottom = grid.box(cell)
    begin, end = (left, right) if across else (top, bottom)
    return begin * lines // grid.canvas, (end * lines - 1) // grid.canvas + 1
