"""E2: representational similarity over layers (Assouel et al., section 3.3 and appendix A.2).

Residual stream, cosine similarity of all trial pairs, Pearson correlation with the RSM of position or of
features; at the comma after each mention and at the last token. Four of nine objects are drawn for each
trial, so that the words do not determine the target; pairs of trials that show one image are left out,
since likeness of an image to itself is no evidence for a code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from harness.measures.similarity import (
    cosine_rsm,
    feature_rsm,
    mantel_null,
    peak,
    position_rsm,
    rsa_draws,
)
from harness.measuring.batches import parts
from harness.measuring.measuring import Experiment, Progress
from harness.statistics.clusters import cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS, PERMUTATIONS, estimation_half
from harness.statistics.looks import confidence, early
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.subjects.subject import Subject
from harness.tracing.capture import capture

ROWS = 32

PAIRS = ("position@mentions", "position@last", "features@last")
HALVES = ("all", "estimation", "evaluation")

PRESENT = 0.10
"""Below this peak a code counts as absent, so that it has no peak to come first.

The paper reads low-entropy values of 0.09 and less in LLaVA-1.5 as IDs that are not there (section 4.5).
"""


def run(subject: Subject, trials: int, rng: np.random.Generator, progress: Progress) -> xr.Dataset:
    """RSA curves with bootstrap draws.

    Returns:
        `r` [pair, half, layer], `r_draws` [pair, half, draw, layer] (scenes resampled),
        `null` [pair, permutation]: the highest r over layers when item labels are permuted.
    """
    grid = subject.grids[2]
    drawn = balanced_trials(grid, HIGH_ENTROPY[3], trials, rng)
    commas, last = [], []
    for part in parts(trials, ROWS):
        progress(part.start, trials)
        batch = subject.encode(drawn[part])
        tokens = torch.tensor([[*row, batch.last] for row in batch.separators])
        read = capture(subject, batch, "residual", tokens)
        commas.append(read[:, :, :-1])
        last.append(read[:, :, -1:])
    states = {"mentions": torch.cat(commas, 1).numpy(), "last": torch.cat(last, 1).numpy()}

    where = np.array([[grid.centre(t.scene.cell_of(o)) for o in t.described] for t in drawn])
    targets = {
        "position@mentions": position_rsm(where.transpose(1, 0, 2)),
        "position@last": position_rsm(
            np.array([grid.centre(t.scene.cell_of(t.target)) for t in drawn])
        )[None],
        "features@last": feature_rsm(
            np.array([t.target.color for t in drawn]), np.array([t.target.shape for t in drawn])
        )[None],
    }
    scenes = np.array([t.scene.key for t in drawn])
    first = estimation_half(scenes, rng)
    members = {"all": np.ones(trials, bool), "estimation": first, "evaluation": ~first}
    r, r_draws, null = [], [], []
    for pair in PAIRS:
        model = cosine_rsm(states[pair.split("@")[1]].transpose(0, 2, 1, 3))
        for half in HALVES:
            chosen = np.flatnonzero(members[half])
            part = np.ix_(range(model.shape[0]), range(model.shape[1]), chosen, chosen)
            own, target = model[part], targets[pair][:, chosen][:, :, chosen]
            ones = np.ones((1, len(chosen)), int)
            shown = scenes[chosen]
            r.append(rsa_draws(own, target, ones, shown)[0])
            r_draws.append(rsa_draws(own, target, cluster_weights(shown, DRAWS, rng), shown))
        null.append(np.nanmax(mantel_null(model, targets[pair], PERMUTATIONS, rng, scenes), -1))
    shape = (len(PAIRS), len(HALVES))
    return xr.Dataset(
        {
            "r": (("pair", "half", "layer"), np.reshape(r, (*shape, -1))),
            "r_draws": (
                ("pair", "half", "draw", "layer"),
                np.reshape(r_draws, (*shape, DRAWS, -1)),
            ),
            "null": (("pair", "permutation"), np.array(null)),
            "size": (("half",), [int(members[h].sum()) for h in HALVES]),
            "scenes": (("half",), [len(np.unique(scenes[members[h]])) for h in HALVES]),
        },
        {"pair": list(PAIRS), "half": list(HALVES), "layer": np.arange(subject.layers)},
    )


SIMILARITY = Experiment("similarity", run, trials=288)


@dataclass(frozen=True)
class Similarity:
    """Reading of the RSA curves. Pairs are named "position@last", "features@last", "position@mentions"."""

    data: xr.Dataset

    def peak_layer(self, pair: str, half: str = "estimation") -> int:
        """Where the curve of one half is highest."""
        return peak(self.data.r.sel(pair=pair, half=half).values)

    def strength(self, pair: str) -> Estimate:
        """r at the peak layer: the layer chosen on the estimation half, r read on the evaluation half."""
        return self._read(pair, lambda curve: curve[..., self.peak_layer(pair)])

    def late(self, pair: str) -> Estimate:
        """r at the best of the last quarter of the layers: chosen on one half, read on the other."""
        quarter = -(-self.data.sizes["layer"] // 4)
        first = self.data.sizes["layer"] - quarter
        chosen = self.data.r.sel(pair=pair, half="estimation").values[first:]
        return self._read(pair, lambda curve: curve[..., first + peak(chosen)])

    def remaining(self, pair: str) -> Estimate:
        """Mean r over the last two layers as a share of r at the peak layer, on the evaluation half."""
        missing = self._missing(pair)
        if missing:
            return missing
        layer = self.peak_layer(pair)
        return self._read(pair, lambda curve: curve[..., -2:].mean(-1) / curve[..., layer])

    def gap(self, earlier: str, later: str) -> Estimate:
        """Layers from the peak of one pair to the peak of another; both peaks found anew in each draw.

        A code that is absent has no peak, and neither has the order.
        """
        for pair in (earlier, later):
            missing = self._missing(pair)
            if missing:
                return missing
        chosen = self.data.sel(half="all")
        at = {p: peak(chosen.r.sel(pair=p).values) for p in (earlier, later)}
        draws = {p: _peaks(chosen.r_draws.sel(pair=p).values) for p in (earlier, later)}
        # That both codes are there rests on the evaluation half, and so does the order.
        return self._estimate(float(at[later] - at[earlier]), draws[later] - draws[earlier])

    def agreement(self, pair: str, theirs: Sequence[float] | None) -> Estimate:
        """Correlation over layers of this curve with the published one of the same subject."""
        if theirs is None:
            return Estimate.inapplicable("the paper shows no curve of this subject")
        chosen = self.data.sel(pair=pair, half="all")
        if len(theirs) != chosen.sizes["layer"]:
            raise ValueError(
                f"the published curve has {len(theirs)} layers, the subject {chosen.sizes['layer']}"
            )
        curves = np.vstack([chosen.r.values, chosen.r_draws.values])
        r = [np.corrcoef(curve, theirs)[0, 1] for curve in curves]
        return self._estimate(float(r[0]), np.array(r[1:]))

    def permutation_p(self, pair: str) -> float:
        """Chance of so high a peak over layers if items were labelled at random (Mantel, all trials)."""
        null = self.data.null.sel(pair=pair).values
        highest = np.nanmax(self.data.r.sel(pair=pair, half="all").values)
        return float((1 + (null >= highest).sum()) / (1 + len(null)))

    def _missing(self, pair: str) -> Estimate | None:
        strength, chance = self.strength(pair), self.permutation_p(pair)
        if strength.value is None:
            return strength
        known = chance < 1 - confidence()
        if strength.low > PRESENT and known:
            return None
        what, where = pair.split("@")
        place = {"mentions": "the mentions", "last": "the last token"}[where]
        surely = strength.high < PRESENT or not (known or early())
        verb = ("are" if what == "features" else "is") + (" not" if surely else " not surely")
        return (Estimate.absent if surely else Estimate.unsettled)(
            f"{what} {verb} represented at {place}: peak r {strength.value:.2f} "
            f"[{strength.low:.2f}, {strength.high:.2f}], where {PRESENT:.2f} would count "
            f"(permutation p = {chance:.3f})",
            n=strength.n,
            clusters=strength.clusters,
        )

    def _read(self, pair: str, reduce: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        chosen = self.data.sel(pair=pair, half="evaluation")
        return self._estimate(
            float(reduce(chosen.r.values)), np.asarray(reduce(chosen.r_draws.values), float)
        )

    def _estimate(self, value: float, draws: np.ndarray) -> Estimate:
        half = self.data.sel(half="evaluation")
        n, clusters = int(half["size"]), int(half["scenes"])
        broken = int((~np.isfinite(draws)).sum())
        if broken:
            # A draw of few scenes can be one target over and over, and has no correlation.
            return Estimate.unsettled(
                f"{broken} of {len(draws)} draws of {clusters} scenes have no variation to correlate: "
                "raise --trials",
                n=n,
                clusters=clusters,
            )
        return from_draws(value, draws, n=n, clusters=clusters)


def _peaks(curves: np.ndarray) -> np.ndarray:
    """Peak layer of each curve [draw, layer]; NaN for a draw that has no correlation at any layer."""
    empty = np.isnan(curves).all(-1)
    layers = np.where(np.isnan(curves), -np.inf, curves).argmax(-1).astype(float)
    layers[empty] = np.nan
    return layers
