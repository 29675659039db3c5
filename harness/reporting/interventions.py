"""Draw interventions and codes of relative position as SVG files; the same data give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from harness.machine.files import name_file
from harness.reporting.figures import (
    HUES,
    Picture,
    mark_published,
    save,
    styled,
    tick_whole_numbers,
)

CODES = {
    "relative": ("position in the group", HUES[0], "-"),
    "absolute": ("position in the image", HUES[2], "--"),
    "features": ("features", HUES[1], "-"),
}


@styled
def draw_steering(dataset: xr.Dataset, subject: str, folder: str | Path) -> Picture:
    """Draw the share of swapped answers over numbers of heads and strengths, a panel for each stage.

    Args:
        dataset: Variables `sweep` (stage, half, k, alpha), a share, NaN where it was not measured;
            `chosen_k` and `chosen_alpha` (stage).
        subject: The subject's name.
        folder: Where the file goes.
    """
    drawn = dataset.attrs["experiment"] == "steering_drawn"
    stages = dataset.stage.values.tolist()
    figure = Figure(figsize=(3.1 * len(stages), 3.1), layout="constrained")
    panels = figure.subplots(1, len(stages), squeeze=False, sharey=True)[0]
    for axes, stage in zip(panels, stages, strict=True):
        curves = dataset.sweep.sel(stage=stage, half="estimation")
        for index, k in enumerate(dataset.k.values.tolist()):
            shares = curves.sel(k=k).values
            run = np.isfinite(shares)
            if run.any():
                label = f"{k} head{'s' if k > 1 else ''}"
                hue = HUES[index % len(HUES)]
                axes.plot(dataset.alpha.values[run], shares[run], ".-", color=hue, label=label)
        axes.set_title(stage.replace("_", " ").replace("id ", "ID "))
        axes.set(xscale="log", xlabel="strength alpha", ylim=(-0.03, 1.03))
        # Minor ticks of a logarithmic axis take longer to lay out than all else together.
        axes.xaxis.set_minor_locator(NullLocator())
        if int(dataset.chosen_k.sel(stage=stage)):
            axes.axvline(
                float(dataset.chosen_alpha.sel(stage=stage)), color="#676b73", linewidth=0.7
            )
    panels[0].set_ylabel("share of swapped answers")
    handles, names = max((a.get_legend_handles_labels() for a in panels), key=lambda h: len(h[0]))
    if handles:
        figure.legend(handles, names, loc="outside upper left", ncols=len(names))
    where = "drawn scenes" if drawn else "photographs, or what stands for them"
    caption = [
        f"IDs pushed from one side to the other in {where}, on the images that they were estimated from",
        "line: the strength chosen there, judged on other images",
    ]
    name = f"{dataset.attrs['experiment']}--{name_file(subject)}.svg"
    return save(figure, folder, name, f"{subject}: steering, {where}", caption)


@styled
def draw_blocks(
    dataset: xr.Dataset,
    subject: str,
    folder: str | Path,
    published: Mapping[str, Sequence[float]] | None = None,
) -> Picture:
    """Draw similarity to positions in the group, positions in the image and features, over layers.

    Args:
        dataset: Variables `r` (code, half, layer), `r_draws` (code, half, draw, layer), float, Pearson r.
        subject: The subject's name.
        folder: Where the file goes.
        published: The paper's curve of this subject by code, one r per layer.
    """
    data = dataset.sel(half="evaluation")
    layers = np.arange(data.sizes["layer"])
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="#676b73", linewidth=0.6)
    for code, (name, color, dashes) in CODES.items():
        one = data.sel(code=code)
        low, high = np.nanquantile(one.r_draws.values, (0.025, 0.975), axis=0)
        axes.fill_between(layers, low, high, color=color, alpha=0.18, linewidth=0)
        axes.plot(layers, one.r.values, dashes, color=color, linewidth=1.8, label=name)
        theirs = (published or {}).get(code)
        if theirs is not None:
            mark_published(axes, theirs, color)
    axes.set(xlabel="layer", ylabel="RSA (Pearson r)", xlim=(-0.2, len(layers) - 0.8))
    tick_whole_numbers(axes.xaxis)
    figure.legend(loc="outside upper left", ncols=3)
    caption = [
        "Blocks of four objects in four places of the canvas; shaded: 95% of bootstrap draws"
    ]
    if published:
        caption.append("hollow marks: published values")
    name = f"blocks--{name_file(subject)}.svg"
    return save(figure, folder, name, f"{subject}: relative or absolute", caption)
