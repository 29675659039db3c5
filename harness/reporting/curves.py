"""Draw what states represent over the layers as an SVG file; the same data give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.machine.files import name_file
from harness.reporting.figures import (
    HUES,
    Picture,
    mark_published,
    save,
    styled,
    tick_whole_numbers,
)
from harness.statistics.orders import SHARES, find_onset

PAIRS = {
    "position@separator": ("position, at the commas after mentions", HUES[5], "--"),
    "position@noun": ("position, at the nouns of mentions", HUES[4], "--"),
    "position@color": ("position, at the colors of mentions", HUES[3], "--"),
    "position@last": ("position, at the last token", HUES[0], "-"),
    "features@last": ("features, at the last token", HUES[1], "-"),
}


@styled
def draw_similarity(
    dataset: xr.Dataset,
    subject: str,
    folder: str | Path,
    published: Mapping[str, Sequence[float]] | None = None,
) -> Picture:
    """Draw RSA over layers with bootstrap bands and marked onsets, and beside it what linear probes read.

    An onset is marked of each code that is surely there.

    Args:
        dataset: Variables `r` (pair, layer) and `r_draws` (pair, draw, layer), float, Pearson r; `null`
            (pair, permutation), and `probe_right`, `probe_chance` (pair, layer, judged), shares, are drawn if
            the dataset has them. Of a dimension `half`, "all" is shown.
        subject: The subject's name.
        folder: Where the file goes.
        published: The paper's curve of this subject by pair, one r per layer.
    """
    data = dataset.sel(half="all") if "half" in dataset.dims else dataset
    layers = np.arange(data.sizes["layer"])
    probed = "probe_right" in data
    figure = Figure(figsize=(9.6 if probed else 7.4, 3.6), layout="constrained")
    panels = figure.subplots(1, 1 + probed, squeeze=False)[0]
    axes = panels[0]
    axes.axhline(0, color="#676b73", linewidth=0.6)
    chance = float(np.quantile(data.null.values, 0.95, axis=-1).max()) if "null" in data else 0.0
    for pair in data.pair.values.tolist():
        name, color, dashes = PAIRS.get(pair, (pair, HUES[6], ":"))
        one = data.sel(pair=pair)
        low, high = np.quantile(
            one.r_draws.transpose("draw", "layer").values, (0.025, 0.975), axis=0
        )
        axes.fill_between(layers, low, high, color=color, alpha=0.18, linewidth=0)
        axes.plot(layers, one.r.values, dashes, color=color, linewidth=1.8, label=name)
        if np.nanmax(low) > chance:
            onsets = [int(find_onset(one.r.values, share)) for share in SHARES]
            axes.plot(onsets, one.r.values[onsets], "^", color=color, markersize=7)
        theirs = (published or {}).get(pair)
        if theirs is not None:
            mark_published(axes, theirs, color)
    shown = [
        "RSA by layer; shaded: 95% of bootstrap draws over scenes",
        f"triangles: the first layers with {SHARES[0]:.0%} and {SHARES[1]:.0%} of a curve's highest value, "
        "between which orders are judged",
    ]
    if "null" in data:
        axes.axhspan(0, chance, color="#676b73", alpha=0.13, linewidth=0)
        reach = "where the best layer stays in 95% of permutations of the items"
        shown.append(f"grey: up to r = {chance:.2f}, {reach}")
    if published:
        shown.append("hollow marks: published values")
    top = max(1.0, axes.get_ylim()[1])
    axes.set(ylabel="RSA (Pearson r)", ylim=(min(-0.1, axes.get_ylim()[0]), top))
    if probed:
        _draw_probes(panels[1], data, layers)
        shown.append(
            "right panel: what linear probes read on scenes they never saw, thin lines by chance; which object "
            "is missing can be read even where nothing was trained, from what image and words leave over"
        )
    for panel in panels:
        panel.set(xlabel="layer", xlim=(-0.2, len(layers) - 0.8))
        tick_whole_numbers(panel.xaxis)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return save(
        figure,
        folder,
        f"similarity--{name_file(subject)}.svg",
        f"{subject}: similarity over layers",
        shown,
    )


def _draw_probes(axes: Axes, data: xr.Dataset, layers: NDArray[np.int64]) -> None:
    for pair in data.pair.values.tolist():
        _, color, dashes = PAIRS.get(pair, (pair, HUES[6], ":"))
        right, chance = (
            data[name].sel(pair=pair).mean("judged").values
            for name in ("probe_right", "probe_chance")
        )
        axes.plot(layers, right, dashes, color=color, linewidth=1.8)
        axes.plot(layers, chance, dashes, color=color, linewidth=0.6)
    axes.set(ylabel="share read right", ylim=(-0.03, 1.03))
