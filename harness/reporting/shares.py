"""Draw how many answers become another under each edit, as SVG files; the same data give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from harness.machine.files import name_file
from harness.reporting.figures import HUES, Picture, save, styled
from harness.statistics.estimate import proportion


class Bar(NamedTuple):
    """One share: what was done, what is counted, and of which trials it is true, bool [trial]."""

    edit: str
    counted: str
    outcomes: xr.DataArray


def draw_keys(dataset: xr.Dataset, subject: str, folder: str | Path) -> Picture | None:
    """Draw how often the other object's color is named, and the object's own, under each edit of keys.

    Args:
        dataset: Variables `swapped`, `own` (edit, trial) bool, `scene` (trial); none of them where image tokens
            are no grid.
        subject: The subject's name.
        folder: Where the file goes.

    Returns:
        None where nothing was edited, since image tokens are no grid.
    """
    if "edit" not in dataset.coords:
        return None
    counted = {"swapped": "the other object's color", "own": "the queried object's own color"}
    bars = [
        Bar("no edit" if edit == "none" else edit, told, dataset[name].sel(edit=edit))
        for edit in dataset.edit.values.tolist()
        for name, told in counted.items()
    ]
    caption = "Colors that are named once mean keys are exchanged in the layers of feature retrieval heads"
    return _draw(
        bars, dataset, f"{subject}: answers under edits of keys", caption, "keys", subject, folder
    )


def draw_reuse(dataset: xr.Dataset, subject: str, folder: str | Path) -> Picture:
    """Draw how often the right object is named, and the one at a wrong position, by which ID is added.

    Args:
        dataset: Variables `before`, `after`, `pulled`, `unpulled`, `scene` (trial).
        subject: The subject's name.
        folder: Where the file goes.
    """
    right, wrong = "the right object", "the object at the wrong position"
    bars = [
        Bar("no edit", right, dataset.before),
        Bar("no edit", wrong, dataset.unpulled),
        Bar("ID of the right position", right, dataset.after),
        Bar("ID of a wrong position", wrong, dataset.pulled),
    ]
    caption = (
        "Objects that are named in answer to questions about space once a position ID is added"
    )
    return _draw(
        bars, dataset, f"{subject}: questions about space", caption, "reuse", subject, folder
    )


@styled
def _draw(
    bars: Sequence[Bar],
    dataset: xr.Dataset,
    title: str,
    caption: str,
    name: str,
    subject: str,
    folder: str | Path,
) -> Picture:
    edits = list(dict.fromkeys(bar.edit for bar in bars))
    kinds = list(dict.fromkeys(bar.counted for bar in bars))
    figure = Figure(figsize=(7.4, 1.2 + 0.42 * len(edits)), layout="constrained")
    axes = figure.subplots()
    for kind, color in zip(kinds, HUES, strict=False):
        for bar in bars:
            if bar.counted != kind or not bar.outcomes.size:
                continue
            found = proportion(bar.outcomes.values.astype(bool), dataset.scene.values)
            low, high = found.interval(0.95)
            # Both kinds of one edit stand in one row, a little apart.
            place = edits.index(bar.edit) + 0.13 * (2 * kinds.index(kind) - 1)
            axes.plot([low, high], [place, place], color=color, linewidth=1.6)
            axes.plot(float(np.mean(bar.outcomes.values)), place, "o", color=color, markersize=5)
        axes.plot([], [], "o-", color=color, label=kind)
    axes.set(
        xlabel="share of answers", xlim=(-0.02, 1.02), yticks=range(len(edits)), yticklabels=edits
    )
    axes.set_ylim(len(edits) - 0.5, -0.5)
    figure.legend(loc="outside upper left", ncols=2)
    told = [caption, "lines: 95% intervals, clustered by scene"]
    return save(figure, folder, f"{name}--{name_file(subject)}.svg", title, told)
