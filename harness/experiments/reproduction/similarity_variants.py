"""Similarity as the public reproduction measured it (protocol, section 9, numbers 4 and 6).

Position of the target at the last token, at the layer where the paper's protocol has its peak: with few
colors and shapes, with 24 trials, with the target's color as the last token, after the norm that follows
attention, in scenes drawn larger and off the grid of tokens; each alone, and those of its RSA all together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.correlating import Comparison
from harness.experiments.editing import (
    capture_all,
    find_answers,
    find_last_token,
    read_answers,
)
from harness.experiments.halves import list_scenes
from harness.experiments.targets import compare_targets
from harness.measures.similarity import cosine_rsm, find_peak
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import REPRODUCED_GRIDS, objects
from harness.subjects.subject import Subject

FEW = 24
"""Trials of the reproduction."""

CROWDED = objects(f"{c} {s}" for c in ("red", "blue") for s in ("circle", "square"))
"""Objects of the reproduction."""


@dataclass(frozen=True)
class Variant:
    """One way to measure RSA: the paper's, or one that departs from it.

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


@dataclass(frozen=True)
class Curve:
    """The curve of RSA over layers that one variant gives.

    Attributes:
        r: Correlation of the states with the target's position at every layer, [L].
        draws: The same in bootstrap draws, [D, L].
        trials: How many there were.
        scenes: How many scenes they show.
        right: Share of them that is answered right, for scenes that no task has asked before; else 1.
    """

    r: NDArray[np.float64]
    draws: NDArray[np.float64]
    trials: int
    scenes: int
    right: float


def measure(request: Request) -> xr.Dataset:
    """Measure the curves of all variants; the peak's layer comes from trials of its own.

    Returns:
        `r` [variant, layer], `draws` [variant, draw, layer], `n`, `scenes`, `right` [variant]; `peak`: the
        layer where the paper's protocol peaks on other trials.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    chosen = _measure_curve(subject, Variant(), trials, rng)
    found = []
    for done, variant in enumerate(VARIANTS.values()):
        request.progress(done, len(VARIANTS))
        found.append(_measure_curve(subject, variant, FEW if variant.few else trials, rng))
    return xr.Dataset(
        {
            "r": (("variant", "layer"), np.array([c.r for c in found])),
            "draws": (("variant", "draw", "layer"), np.array([c.draws for c in found])),
            "n": (("variant",), np.array([c.trials for c in found])),
            "scenes": (("variant",), np.array([c.scenes for c in found])),
            "right": (("variant",), np.array([c.right for c in found])),
            "peak": find_peak(chosen.r),
        },
        {"variant": list(VARIANTS), "layer": np.arange(subject.layers)},
    )


def _measure_curve(
    subject: Subject, variant: Variant, trials: int, rng: np.random.Generator
) -> Curve:
    grid = REPRODUCED_GRIDS[subject.entry.scale] if variant.off_grid else subject.grids[2]
    shown = CROWDED if variant.crowded else HIGH_ENTROPY[3]
    drawn = draw_balanced_trials(grid, shown, trials, rng)
    read = [_with_color(t) for t in drawn] if variant.color_last else drawn
    states = capture_all(subject, read, "norm" if variant.norm else "residual", find_last_token)
    # On the paper's scenes the gate has asked before whether answers are right; on others it is asked here.
    right = 1.0
    if variant.off_grid or variant.crowded:
        plain = not (variant.color_last or variant.norm)
        answered = (
            read_answers(subject, states[-1, :, 0]) if plain else find_answers(subject, drawn)[0]
        )
        right = float((answered == [t.answer for t in drawn]).mean())
    model = cosine_rsm(states.numpy().transpose(0, 2, 1, 3))
    compared = Comparison(model, compare_targets(drawn), list_scenes(drawn))
    draws = compared.resample(compared.draw_weights(rng))
    return Curve(compared.correlate(), draws, trials, len(np.unique(compared.scenes)), right)


def _with_color(trial: Trial) -> Trial:
    """The trial whose prompt goes on to the target's color, so that its shape is asked."""
    prompt = trial.prompt
    longer = replace(
        prompt, text=f"{prompt.text} {trial.target.color}", completion=f" {trial.target.shape}."
    )
    return replace(trial, prompt=longer)
