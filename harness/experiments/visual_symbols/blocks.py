"""E4 and E13: relative or absolute? Blocks of four objects in four places of the canvas (section 4.1, A.5.3).

Similarity of the last token to the target's slot in the block, to its cell in the image, and to its features,
layer by layer; and its plane of two components. Targets in the middle cell, which all blocks share, decide
between the codes: there the absolute position is one and the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from harness.experiments.editing import captured, last_token
from harness.measures.components import neighbours_agree, plane
from harness.measures.partial import partial
from harness.measures.similarity import (
    cosine_rsm,
    feature_rsm,
    peak,
    position_rsm,
    rsa_draws,
)
from harness.measuring.measuring import Experiment, Progress
from harness.statistics.clusters import cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, proportion
from harness.statistics.halves import DRAWS, estimation_half
from harness.stimuli.blocks import block_trials, slot_of
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.scene import Cell
from harness.subjects.subject import Subject

CODES = ("relative", "absolute", "features")
HALVES = ("estimation", "evaluation")
NEIGHBOURS = 5
MIDDLE = Cell(1, 1)


def run(subject: Subject, trials: int, rng: np.random.Generator, progress: Progress) -> xr.Dataset:
    """Curves, planes and accuracy.

    Returns:
        `r` [code, half, layer] and `r_draws` [code, half, draw, layer] (scenes resampled); `between`
        [half] and `between_draws` [half, draw]: r of relative and absolute positions themselves; `plane`
        [layer, trial, axis]; `agrees` bool [which, layer, trial], whether a trial's neighbours in the plane
        share its slot, among all trials and among those in the middle cell; `slot`, `cell`, `scene`, `half`
        [trial].
    """
    drawn = block_trials(subject.grids[3], HIGH_ENTROPY[3], trials, rng)
    progress(0, 2)
    states = captured(subject, drawn, "residual", last_token)[:, :, 0].numpy()
    progress(1, 2)
    cells = [t.scene.cell_of(t.target) for t in drawn]
    slots = [slot_of(t.scene, t.target) for t in drawn]
    scenes = np.array([t.scene.key for t in drawn])
    truths = {
        "relative": position_rsm(np.array(slots, float))[None],
        "absolute": position_rsm(np.array(cells, float))[None],
        "features": feature_rsm(
            np.array([t.target.color for t in drawn]), np.array([t.target.shape for t in drawn])
        )[None],
    }
    first = estimation_half(scenes, rng)
    model = cosine_rsm(states[:, None])
    r = np.zeros((len(CODES), 2, len(states)))
    draws = np.zeros((len(CODES), 2, DRAWS, len(states)))
    between, between_draws = np.zeros(2), np.zeros((2, DRAWS))
    planes = np.stack([plane(layer)[0] for layer in states])
    middle = np.array([c == MIDDLE for c in cells])
    agrees = np.zeros((2, len(states), trials), bool)
    names = np.array(["{} {}".format(*s) for s in slots])
    for h, half in enumerate((first, ~first)):
        chosen = np.flatnonzero(half)
        part = np.ix_(range(len(states)), range(1), chosen, chosen)
        ones = np.ones((1, len(chosen)), int)
        weights = cluster_weights(scenes[chosen], DRAWS, rng)
        truth = {c: t[:, chosen][:, :, chosen] for c, t in truths.items()}
        for c, code in enumerate(CODES):
            r[c, h] = rsa_draws(model[part], truth[code], ones, scenes[chosen])[0]
            draws[c, h] = rsa_draws(model[part], truth[code], weights, scenes[chosen])
        own = truth["relative"][None]
        between[h] = rsa_draws(own, truth["absolute"], ones, scenes[chosen])[0, 0]
        between_draws[h] = rsa_draws(own, truth["absolute"], weights, scenes[chosen])[:, 0]
        for w, among in enumerate((half, half & middle)):
            if among.sum() <= 2 * NEIGHBOURS:
                # The reading says that they are too few.
                continue
            # A plane of its own: among targets in the middle other differences may be the largest.
            for layer, state in enumerate(states):
                points = planes[layer][among] if w == 0 else plane(state[among])[0]
                agrees[w, layer, among] = neighbours_agree(
                    points, names[among], scenes[among], NEIGHBOURS
                )
    return xr.Dataset(
        {
            "r": (("code", "half", "layer"), r),
            "r_draws": (("code", "half", "draw", "layer"), draws),
            "between": (("half",), between),
            "between_draws": (("half", "draw"), between_draws),
            "plane": (("layer", "trial", "axis"), planes),
            "agrees": (("which", "layer", "trial"), agrees),
            "slot": (("trial",), names),
            "cell": (("trial",), np.array(["{} {}".format(*c) for c in cells])),
            "scene": (("trial",), scenes),
            "part": (("trial",), np.where(first, *HALVES)),
        },
        {
            "code": list(CODES),
            "half": list(HALVES),
            "which": ["all", "middle"],
            "layer": np.arange(subject.layers),
        },
    )


BLOCKS = Experiment("blocks", run, trials=384)


@dataclass(frozen=True)
class Blocks:
    """Reading of the curves and planes. Codes are "relative", "absolute", "features"."""

    data: xr.Dataset

    @property
    def layer(self) -> int:
        """Where the relative code is strongest, on the estimation half."""
        return peak(self.data.r.sel(code="relative", half="estimation").values)

    def strength(self, code: str) -> Estimate:
        """r of a code at the relative code's peak layer, on the evaluation half."""
        value, draws = self._at(code)
        return self._estimate(value, draws)

    def lead(self) -> Estimate:
        """r of relative minus r of absolute positions at the relative peak layer, evaluation half."""
        (a, a_draws), (b, b_draws) = self._at("relative"), self._at("absolute")
        return self._estimate(a - b, a_draws - b_draws)

    def beyond(self, code: str, other: str) -> Estimate:
        """Partial r of a code, with what it shares with the other taken out; layer and half as above."""
        half = self.data.sel(half="evaluation")
        (a, a_draws), (b, b_draws) = self._at(code), self._at(other)
        value = float(partial(a, b, float(half.between)))
        return self._estimate(value, partial(a_draws, b_draws, half.between_draws.values))

    def plane_of_slots(self, which: str) -> Estimate:
        """Share of trials whose neighbours share the slot, at the layer best on the estimation half.

        Args:
            which: "all" trials, or those with the target in the "middle" cell.
        """
        chosen = self.data.sel(which=which)
        among = np.ones(self.data.sizes["trial"], bool)
        if which == "middle":
            among = self.data.cell.values == "{} {}".format(*MIDDLE)
        agrees = chosen.agrees.values.astype(bool)
        first = among & (self.data.part.values == "estimation")
        second = among & ~first & (self.data.part.values == "evaluation")
        least = min(
            np.unique(self.data.slot.values[half], return_counts=True)[1].min()
            for half in (first, second)
        )
        scenes = self.data.scene.values[second]
        if least <= NEIGHBOURS:
            return Estimate.unsettled(
                f"only {least} trials of some slot in one half, where {NEIGHBOURS} neighbours are asked: "
                "raise --trials",
                n=int(second.sum()),
                clusters=len(np.unique(scenes)),
            )
        layer = int(agrees[:, first].mean(1).argmax())
        return proportion(agrees[layer, second], scenes)

    def _at(self, code: str) -> tuple[float, np.ndarray]:
        chosen = self.data.sel(code=code, half="evaluation")
        return float(chosen.r.values[self.layer]), chosen.r_draws.values[:, self.layer]

    def _estimate(self, value: float, draws: np.ndarray) -> Estimate:
        scenes = self.data.scene.values[self.data.part.values == "evaluation"]
        n, clusters = len(scenes), len(np.unique(scenes))
        if not np.isfinite(draws).all():
            return Estimate.unsettled(
                f"draws of {clusters} scenes have no variation to correlate: raise --trials",
                n=n,
                clusters=clusters,
            )
        return from_draws(value, draws, n=n, clusters=clusters)
