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
from harness.experiments.sweeps import ARRANGEMENTS
from harness.measures.similarity import cosine_rsm, peak, position_rsm, rsa_draws
from harness.measuring.measuring import Experiment, Progress
from harness.statistics.clusters import cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, difference
from harness.statistics.halves import DRAWS, estimation_half
from harness.statistics.looks import confidence
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


def run(subject: Subject, trials: int, rng: np.random.Generator, progress: Progress) -> xr.Dataset:
    """Curves of all variants; the peak's layer comes from trials of its own.

    Returns:
        `r` [variant, layer], `draws` [variant, draw, layer], `n`, `scenes`, `right` [variant]; `layer`: where
        the paper's protocol peaks on other trials.
    """
    chosen = _curve(subject, Variant(), trials, rng)
    found = []
    for done, variant in enumerate(VARIANTS.values()):
        progress(done, len(VARIANTS))
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


SIMILARITY_VARIANTS = Experiment("similarity_variants", run, trials=100)


def run_arrangements(
    subject: Subject, trials: int, rng: np.random.Generator, progress: Progress
) -> xr.Dataset:
    """Accuracy in every arrangement (protocol, section 9, number 7): `right` [how, trial], `part` [trial]."""
    if not getattr(subject.tokenizer, "chat_template", None):
        return xr.Dataset(attrs={"no_chat": 1})
    drawn = balanced_trials(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    right = []
    for how in ARRANGEMENTS:
        arranged = replace(subject, entry=replace(subject.entry, arrangement=how))
        right.append(said(arranged, drawn)[0] == ids_of(arranged, drawn, [t.answer for t in drawn]))
    scenes = np.array([t.scene.key for t in drawn])
    part = np.where(estimation_half(scenes, rng), "estimation", "evaluation")
    return xr.Dataset(
        {
            "right": (("how", "trial"), np.array(right)),
            "scene": (("trial",), scenes),
            "part": (("trial",), part),
        },
        {"how": list(ARRANGEMENTS)},
    )


ARRANGED = Experiment("arrangements", run_arrangements, trials=100)


@dataclass(frozen=True)
class SimilarityVariants:
    """Reading of the variants, named as in VARIANTS."""

    data: xr.Dataset

    def lost(self, variant: str) -> Estimate:
        """r by the paper's protocol less r by a variant, at the layer where the first peaks."""
        base = self._at("as in the paper")
        if base[1][int((1 - confidence()) / 2 * DRAWS)] <= 0.1:
            return Estimate.inapplicable(
                f"position is not surely represented at the last token (r = {base[0]:.2f}): there is nothing "
                "that a variant could miss",
                n=int(self.data.n[0]),
                clusters=int(self.data.scenes[0]),
            )
        other = self.data.sel(variant=variant)
        if float(other.right) < 0.5:
            return Estimate.inapplicable(
                f"only {float(other.right):.0%} of such trials are answered right: what the state tells then "
                "is not what the paper is about",
                n=int(other.n),
                clusters=int(other.scenes),
            )
        value, draws = self._at(variant, in_order=False)
        paper = self._at("as in the paper", in_order=False)
        if not np.isfinite(draws).all():
            return Estimate.unsettled(
                "some draws of so few trials have no variation to correlate",
                n=int(other.n),
                clusters=int(other.scenes),
            )
        return from_draws(
            paper[0] - value, paper[1] - draws, n=int(other.n), clusters=int(other.scenes)
        )

    def _at(self, variant: str, *, in_order: bool = True) -> tuple[float, np.ndarray]:
        chosen = self.data.sel(variant=variant).isel(layer=int(self.data.peak))
        draws = chosen.draws.values
        return float(chosen.r), np.sort(draws) if in_order else draws


@dataclass(frozen=True)
class Arrangements:
    """Reading of the arrangements."""

    data: xr.Dataset

    def difference(self) -> Estimate:
        """How much accuracy differs between two arrangements: those that differ most on the other half."""
        if "no_chat" in self.data.attrs:
            return Estimate.inapplicable("its tokenizer has no chat template")
        right = self.data.right.astype(float)
        shares = right[:, (self.data.part == "estimation").values].mean("trial").values
        held = right[:, (self.data.part == "evaluation").values]
        best, worst = int(shares.argmax()), int(shares.argmin())
        scenes = self.data.scene.values[(self.data.part == "evaluation").values]
        return difference(held[best].values, held[worst].values, scenes)
