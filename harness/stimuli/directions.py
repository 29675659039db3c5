"""The directions in which a neighbour is asked for, and the rows and columns in which they lie."""

from __future__ import annotations

from typing import Literal

from harness.stimuli.scene import Cell, Grid

Direction = Literal["left", "right", "above", "below"]
DIRECTIONS: tuple[Direction, ...] = ("left", "right", "above", "below")
"""What can be asked: the item to the left of the middle one, and so on."""

OPPOSITE: dict[Direction, Direction] = {
    "left": "right",
    "right": "left",
    "above": "below",
    "below": "above",
}


def is_across(direction: Direction) -> bool:
    """Whether a direction is left or right, which are asked of rows; above and below are asked of columns."""
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
