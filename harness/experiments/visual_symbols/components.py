"""E1: the last token in its plane of two principal components (Assouel et al., Figure 1b).

The paper's six objects let the words alone name the target; here six of nine are drawn for each trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from harness.measures.components import neighbours_agree, plane
from harness.measuring.batches import parts
from harness.measuring.measuring import Experiment, Progress
from harness.statistics.estimate import Estimate, difference, proportion
from harness.statistics.halves import estimation_half
from harness.stimuli.design import HIGH_ENTROPY, PCA_CELLS, balanced_trials
from harness.subjects.subject import Subject
from harness.tracing.capture import capture

ROWS = 32

FACTORS = ("position", "identity")

NEIGHBOURS = 5
"""Neighbours that give a trial its label."""


def run(subject: Subject, trials: int, rng: np.random.Generator, progress: Progress) -> xr.Dataset:
    """Planes of every layer, and whether a trial's five nearest neighbours share its cell or object.

    Returns:
        `plane` [layer, trial, axis], fitted per layer on all trials; `agrees` bool
        [factor, layer, trial], neighbours taken from the same half and never from the same scene;
        `cell`, `identity`, `scene` [trial]; `half` [trial].
    """
    drawn = balanced_trials(subject.grids[3], HIGH_ENTROPY[3], trials, rng, cells=PCA_CELLS)
    states = []
    for part in parts(trials, ROWS):
        progress(part.start, trials)
        batch = subject.encode(drawn[part])
        tokens = torch.full((len(batch), 1), batch.last)
        states.append(capture(subject, batch, "residual", tokens)[:, :, 0])
    layers = torch.cat(states, 1).numpy()

    cells = np.array(["{} {}".format(*t.scene.cell_of(t.target)) for t in drawn])
    identity = np.array([t.target.name for t in drawn])
    scenes = np.array([t.scene.key for t in drawn])
    first = estimation_half(scenes, rng)
    planes = np.stack([plane(layer)[0] for layer in layers])
    agrees = np.zeros((len(FACTORS), len(layers), trials), bool)
    for f, labels in enumerate((cells, identity)):
        for half in (first, ~first):
            for index, points in enumerate(planes):
                agrees[f, index, half] = neighbours_agree(
                    points[half], labels[half], scenes[half], NEIGHBOURS
                )
    return xr.Dataset(
        {
            "plane": (("layer", "trial", "axis"), planes),
            "agrees": (("factor", "layer", "trial"), agrees),
            "cell": (("trial",), cells),
            "identity": (("trial",), identity),
            "scene": (("trial",), scenes),
            "half": (("trial",), np.where(first, "estimation", "evaluation")),
        },
        {"factor": list(FACTORS), "layer": np.arange(subject.layers)},
    )


COMPONENTS = Experiment("components", run, trials=432)


@dataclass(frozen=True)
class Components:
    """Reading of the planes. Factors are "position" (six cells) and "identity" (nine objects)."""

    data: xr.Dataset

    def separating_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor best, on the estimation half."""
        return int(self._shares().sel(factor=factor).values.argmax())

    def best_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor most above the other, on the estimation half."""
        own, other = (self._shares().sel(factor=f).values for f in self._order(factor))
        return int((own - other).argmax())

    def accuracy(self, factor: str) -> Estimate:
        """Share of trials whose neighbours agree at the separating layer, on the evaluation half."""
        few = self._too_few()
        if few:
            return few
        chosen = self._half("evaluation")
        agrees = chosen.agrees.sel(factor=factor, layer=self.separating_layer(factor))
        return proportion(agrees.values.astype(bool), chosen.scene.values)

    def lead(self, factor: str) -> Estimate:
        """Accuracy for a factor minus accuracy for the other at its best layer, evaluation half."""
        few = self._too_few()
        if few:
            return few
        chosen = self._half("evaluation").sel(layer=self.best_layer(factor))
        own, other = (chosen.agrees.sel(factor=f).values.astype(float) for f in self._order(factor))
        return difference(own, other, chosen.scene.values)

    def _too_few(self) -> Estimate | None:
        """Where a label has no more trials than a trial has neighbours, they cannot all share it."""
        for half in ("estimation", "evaluation"):
            chosen = self._half(half)
            for name in ("cell", "identity"):
                least = int(np.unique(chosen[name].values, return_counts=True)[1].min())
                if least <= NEIGHBOURS:
                    return Estimate.unsettled(
                        f"only {least} trials of some {name} in one half, where {NEIGHBOURS} neighbours are "
                        "asked for its label: raise --trials",
                        n=chosen.sizes["trial"],
                        clusters=len(np.unique(chosen.scene.values)),
                    )
        return None

    def _shares(self) -> xr.DataArray:
        return self._half("estimation").agrees.astype(float).mean("trial")

    def _half(self, half: str) -> xr.Dataset:
        return self.data.isel(trial=np.flatnonzero(self.data.half.values == half))

    @staticmethod
    def _order(factor: str) -> tuple[str, str]:
        return factor, FACTORS[1 - FACTORS.index(factor)]
