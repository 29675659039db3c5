"""The same row at two places of a canvas, which tells a place along the row from a place on the canvas.

A canvas has room for four items. A row of three stands at its first three places or at its last three.
"""

from __future__ import annotations

import numpy as np

from harness.stimuli.directions import list_row_cells
from harness.stimuli.rows import (
    RowQuestion,
    Setting,
    ask_row,
    draw_directions,
    draw_items,
)
from harness.stimuli.scene import Grid, UnevenGrid

SHIFTED_ROW_GRID = UnevenGrid(4, cell=56, gap=28, margin=0, after=28)
"""Four places of a row on 336 px, of which three neighbouring ones hold items."""

FAMILY_SHIFTED_GRIDS: dict[str, Grid] = {
    "gemma3": UnevenGrid(4, cell=168, gap=56, margin=0, after=56),
}
"""The same on 896 px."""

EMBEDDED_SHIFTED_GRID = Grid(4, cell=28, gap=0, margin=0)
"""Four places of a row on 112 px, without gaps, since there is no room for any."""


def choose_shifted_grid(family: str, scale: str) -> Grid:
    """The canvas of four places on which the same row is shown at two places."""
    if scale == "embedded":
        return EMBEDDED_SHIFTED_GRID
    return FAMILY_SHIFTED_GRIDS.get(family, SHIFTED_ROW_GRID)


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
    for direction in draw_directions(trials, rng):
        items, backdrop = draw_items(setting, 3, rng)
        cells = [list_row_cells(grid, direction, shift=shift) for shift in (0, 1)]
        first, second = (
            ask_row(grid, items, direction, setting, backdrop=backdrop, cells=c) for c in cells
        )
        found.append((first, second))
    return found
