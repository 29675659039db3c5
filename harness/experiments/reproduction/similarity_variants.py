"""Similarity as the public reproduction measured it (protocol, section 9, numbers 4 and 6).

Position of the target at the last token, at the layer where the paper's protocol has its peak: with few
colors and shapes, with 24 trials, with the target's color as the last token, after the norm that follows
attention, in scenes drawn larger and off the grid of tokens; each alone, and those of its RSA all together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from harness.experiments.editing import captured, ids_of, last_token, said, said_from
from harness.measures.similarity import cosine_rsm, peak, position_rsm, rsa_draws
from harness.measuring.experiment import Request
from harness.statistics.clusters import cluster_weights
from harness.statistics.halves import DRAWS
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import REPRODUCED_GRIDS, objects
from harness.subjects.subject import Subject

FEW = 24
"""Trials of the reproduction."""

CROWDED = objects(f"{c} {s}" for c in ("red", "blue") for s in ("circle", "square"))
"""Objects of the reproduction."""


@dataclass(frozen=True)
class Variant:
    """One way to measure.

    Attributes:
        crowded: Few colors and shapes.
        few: FEW trials.
        color_last: The prompt goes on to the target's color, which is read.
        norm: After the norm that follows attention; else the layer's output.
        off_grid: Scenes of the reproduction's geometry.
    """

    crowded: bool = False
    few: bool = False
    color_last: bool = False
    norm: bool = False
    off_grid: bool = False


VARIANTS = {
    "as in the paper": Variant(),
    "few colors and shapes": Variant(crowded=True),
    "24 trials": Variant(few=True),
    "color as last token": Variant(color_last=True),
    "after the norm": Variant(norm=True),
    "off the token grid": Variant(off_grid=True),
    "as reproduced": Variant(crowded=True, few=True, color_last=True, norm=True),
}


def measure(request: Request) -> xr.Dataset:
    """Curves of all variants; the peak's layer comes from trials of its own.

    Returns:
        `r` [variant, layer], `draws` [variant, draw, layer], `n`, `scenes`, `right` [variant]; `layer`: where
        the paper's protocol peaks on other trials.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    chosen = _curve(subject, Variant(), trials, rng)
    found = []
    for done, variant in enumerate(VARIANTS.values()):
        request.progress(done, len(VARIANTS))
        found.append(_curve(subject, variant, FEW if variant.few else trials, rng))
    columns = zip(*found, strict=True)
    names = ("r", "draws", "n", "scenes", "right")
    dims = (("variant", "layer"), ("variant", "draw", "layer"), *[("variant",)] * 3)
    return xr.Dataset(
        {name: (d, np.array(v)) for name, d, v in zip(names, dims, columns, strict=True)}
        | {"peak": peak(chosen[0])},
        {"variant": list(VARIANTS), "layer": np.arange(subject.layers)},
    )


def _curve(
    subject: Subject, variant: Variant, trials: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int, int, float]:
    grid = REPRODUCED_GRIDS[subject.entry.scale] if variant.off_grid else subject.grids[2]
    shown = CROWDED if variant.crowded else HIGH_ENTROPY[3]
    drawn = balanced_trials(grid, shown, trials, rng)
    read = [_with_color(t) for t in drawn] if variant.color_last else drawn
    states = captured(subject, read, "norm" if variant.norm else "residual", last_token)
    # Who is asked names the target in the paper's scenes; of others it must be seen.
    right = 1.0
    if variant.off_grid or variant.crowded:
        plain = not (variant.color_last or variant.norm)
        answered = said_from(subject, states[-1, :, 0]) if plain else said(subject, drawn)[0]
        right = (answered == ids_of(subject, drawn, [t.answer for t in drawn])).mean()
    model = cosine_rsm(states.numpy().transpose(0, 2, 1, 3))
    truth = position_rsm(np.array([grid.centre(t.scene.cell_of(t.target)) for t in drawn]))[None]
    scenes = np.array([t.scene.key for t in drawn])
    once = rsa_draws(model, truth, np.ones((1, trials), int), scenes)[0]
    draws = rsa_draws(model, truth, cluster_weights(scenes, DRAWS, rng), scenes)
    return once, draws, trials, len(np.unique(scenes)), float(right)


def _with_color(trial: Trial) -> Trial:
    """The prompt with the target's color read, too."""
    prompt = trial.prompt
    longer = replace(
        prompt, text=f"{prompt.text} {trial.target.color}", completion=f" {trial.target.shape}."
    )
    return replace(trial, prompt=longer)
