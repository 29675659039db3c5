"""Draw measurements as SVG files; the same data give the same bytes.

Figures are drawn on `Figure` objects, never through pyplot, so that no backend and no global state is involved.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import AutoLocator
from numpy.typing import NDArray

from harness.machine.files import name_file
from harness.measures.mediation import find_top_heads
from harness.stimuli.scene import COLORS


class Picture(NamedTuple):
    """A figure for the page; `filename` is relative to the folder that it was drawn into."""

    title: str
    caption: str
    filename: str


_STYLE = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#676b73",
    "axes.labelcolor": "#23252a",
    "text.color": "#23252a",
    "xtick.color": "#676b73",
    "ytick.color": "#676b73",
    "legend.frameon": False,
    "figure.facecolor": "white",
}

styled = matplotlib.style.context(["default", _STYLE])
"""Decorator that draws with these settings alone: a user's own matplotlibrc must not change the file."""

_ALSO: ContextVar[tuple[str, ...]] = ContextVar("formats", default=())
"""Formats that figures are written in beside SVG."""

HUES = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#23252a",
    "#8c6d31",
    "#999999",
)
"""Okabe and Ito's palette, whose colors people with color blindness can tell apart."""

_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "star": "*",
    "heart": "$\u2665$",
    "cross": "P",
    "umbrella": "D",
    "plane": ">",
    "sun": "8",
}


@styled
def draw_components(dataset: xr.Dataset, subject: str, folder: str | Path) -> Picture:
    """Draw the last token in a plane of components, colored by the target's cell and by the target's object.

    Two layers are shown: the one that separates positions from objects best, and the one that separates objects
    from positions best, each chosen on the estimation half.

    Args:
        dataset: Variables `plane` (layer, trial, axis) float, `agrees` (factor, layer, trial) bool,
            `cell`, `identity` and `half` (trial) text; factors "position" and "identity".
        subject: The subject's name.
        folder: Where the file goes.
    """
    shares = {
        half: dataset.agrees.isel(trial=np.flatnonzero(dataset.half.values == half)).mean("trial")
        for half in ("estimation", "evaluation")
    }
    figure = Figure(figsize=(7.6, 6.4), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    panels = figure.subplots(2, 2)
    for row, (factor, other) in enumerate((("position", "identity"), ("identity", "position"))):
        first = shares["estimation"]
        layer = int((first.sel(factor=factor) - first.sel(factor=other)).values.argmax())
        points = dataset.plane.isel(layer=layer).transpose("trial", "axis").values
        for axes, shown in zip(panels[row], ("position", "identity"), strict=True):
            labels = (dataset.cell if shown == "position" else dataset.identity).values
            _scatter(axes, points, labels)
            share = float(shares["evaluation"].sel(factor=shown).isel(layer=layer))
            what = "cell" if shown == "position" else "object"
            axes.set_title(f"layer {layer}, by {what}: {share:.0%} of neighbours agree")
    for axes in panels[-1]:
        axes.set_xlabel("component 1")
    for axes in panels[:, 0]:
        axes.set_ylabel("component 2")
    for axes in panels[0]:
        handles, names = axes.get_legend_handles_labels()
        figure.legend(
            handles,
            names,
            loc="outside lower left" if axes is panels[0, 0] else "outside lower right",
            ncols=2,
            title="target's cell (row, column)" if axes is panels[0, 0] else "target",
            alignment="left",
        )
    caption = [
        "The last token of each trial in the plane of two principal components, at the layer that "
        "separates positions from objects best (top) and objects from positions best (bottom)",
        "layers chosen on one half of the scenes, shares read on the other",
    ]
    name = f"components--{name_file(subject)}.svg"
    return save(figure, folder, name, f"{subject}: planes of the last token", caption)


@styled
def draw_mediation(dataset: xr.Dataset, subject: str, folder: str | Path) -> Picture:
    """Draw the mean mediation score of every head, a panel for each condition.

    Args:
        dataset: Variable `score` (condition, trial, layer, head) in logits, NaN where too few trials were
            answered right on both sides.
        subject: The subject's name.
        folder: Where the file goes.
    """
    conditions = dataset.condition.values.tolist()
    figure = Figure(figsize=(3.1 * len(conditions), 3.3), layout="constrained")
    panels = figure.subplots(1, len(conditions), squeeze=False)[0]
    for axes, condition in zip(panels, conditions, strict=True):
        scores = dataset.score.sel(condition=condition).transpose("trial", "layer", "head").values
        kept = np.isfinite(scores).all(axis=(1, 2))
        stage = condition.replace("_", " ").replace("id ", "ID ")
        axes.set_title(f"{stage} (n = {kept.sum()})")
        axes.set(
            xlabel="layer", xlim=(-0.5, scores.shape[1] - 0.5), ylim=(-0.5, scores.shape[2] - 0.5)
        )
        for axis in (axes.xaxis, axes.yaxis):
            tick_whole_numbers(axis)
        if not kept.any():
            axes.text(
                0.5, 0.5, "no trial right\non both sides", transform=axes.transAxes, ha="center"
            )
            continue
        mean = scores[kept].mean(0)
        limit = float(np.abs(mean).max()) or 1.0
        image = axes.pcolormesh(
            np.arange(mean.shape[0]),
            np.arange(mean.shape[1]),
            mean.T,
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            shading="nearest",
            rasterized=True,
        )
        heads = np.array(find_top_heads(mean)).reshape(-1, 2)
        for color, width in (("white", 2.4), ("#23252a", 1.0)):
            axes.plot(
                *heads.T, "o", color=color, markeredgewidth=width, fillstyle="none", markersize=7
            )
        figure.colorbar(image, ax=axes, location="bottom", label="logits", shrink=0.9, aspect=28)
    panels[0].set_ylabel("head")
    caption = [
        "Mean change of the logit difference (Eq. 1) when one head takes its value from the "
        "counterfactual run",
        "red: towards the answer that the patch predicts",
        "circles: the ten strongest heads with at least a tenth of the highest score",
        "each panel has its own scale",
    ]
    name = f"mediation--{name_file(subject)}.svg"
    return save(figure, folder, name, f"{subject}: heads that mediate the answer", caption)


def tick_whole_numbers(axis: Axis) -> None:
    """Put the ticks of an axis at whole numbers only, for layers and heads."""
    locator = AutoLocator()
    locator.set_params(integer=True)
    axis.set_major_locator(locator)


def mark_published(axes: Axes, curve: Sequence[float], color: str) -> None:
    """Mark a published curve, one value per layer, with hollow circles."""
    axes.plot(
        np.arange(len(curve)), curve, "o", color=color, markerfacecolor="white", markersize=3.6
    )


def _scatter(axes: Axes, points: NDArray[np.floating], labels: NDArray[np.str_]) -> None:
    """Draw points [trial, axis] with a color and a marker for each label [trial]."""
    for index, label in enumerate(sorted(set(labels.tolist()))):
        color: str | tuple[float, ...] = HUES[index % len(HUES)]
        marker, name = "o", label.replace(" ", ", ")
        words = label.split()
        if words and words[0] in COLORS:
            color = tuple(np.array(COLORS[words[0]]) / 255 * 0.85)
            marker, name = _MARKERS.get(words[-1], "o"), label
        x, y = points[labels == label].T
        axes.scatter(
            x,
            y,
            s=24,
            color=[color],
            marker=marker,
            alpha=0.7,
            label=name,
            # Without a thin edge, yellow could not be seen on white.
            edgecolors="#23252a",
            linewidths=0.3,
        )
    axes.set(xticks=[], yticks=[])


def save(
    figure: Figure, folder: str | Path, filename: str, title: str, caption: Sequence[str]
) -> Picture:
    """Write a figure as SVG, whole or not at all; the parts of the caption become one sentence.

    Inside `drawing_also` it is written in those formats, too, each beside the other.

    Raises:
        OSError: The folder cannot be written; an old file is untouched.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("svg", *_ALSO.get()):
        temporary = folder / f".{secrets.token_hex(8)}.tmp"
        # Without a date and a version in it, the file depends on the data alone.
        blank = {"svg": ("Date", "Creator"), "png": ("Software",)}[kind]
        try:
            figure.savefig(temporary, format=kind, metadata=dict.fromkeys(blank), dpi=200)
            os.replace(temporary, (folder / filename).with_suffix(f".{kind}"))
        finally:
            temporary.unlink(missing_ok=True)
    sentence = "; ".join(caption)
    return Picture(title, f"{sentence[0].upper()}{sentence[1:]}.", filename)


@contextmanager
def drawing_also(*kinds: Literal["png"]) -> Iterator[None]:
    """Write every figure that is drawn inside the block in these formats as well."""
    before = _ALSO.set(kinds)
    try:
        yield
    finally:
        _ALSO.reset(before)
