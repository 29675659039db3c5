"""Mediation as the public reproduction measured it (protocol, section 9, numbers 1 and 2).

The same contrasts are scored by the equation, 50 of them in the model's precision; with logits read where
the patch is; and one at a time in bfloat16.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr

from harness.experiments.patching import Patches, head_scores
from harness.experiments.visual_symbols.mediation import MEDIATION, ROWS, WEAKEST, Mediation
from harness.measuring.batches import parts
from harness.measuring.measuring import Experiment, Progress
from harness.statistics.estimate import Estimate, mean, proportion
from harness.stimuli.contrast import CONDITIONS, contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.subject import Subject
from harness.tracing.elsewhere import needs_layers

TOP = 10
"""Heads of a list, as in the protocol's thresholds."""


def run(
    subject: Subject,
    trials: int,
    rng: np.random.Generator,
    progress: Progress,
    mediation: xr.Dataset,
) -> xr.Dataset:
    """Scores of the heads under each way of measuring.

    Returns:
        `at_patch`, `at_last` [trial]: score of the best ID retrieval head, with logits read at the patched
        token and at the last; `zero` [stage, trial]: share of heads that score exactly 0 in bfloat16; `found`
        [stage, trial]: share of the best heads of the mediation experiment, ten at most, among the ten best of
        that one trial, NaN where the stage has none; `scene` [stage, trial]; `present` bool [stage].
    """
    reading = Mediation(mediation)
    half = _in_bfloat16(subject)
    shape = (len(CONDITIONS), trials)
    zero, found = np.zeros(shape), np.full(shape, np.nan)
    scenes, present = [], []
    for s, stage in enumerate(CONDITIONS):
        progress(s, len(CONDITIONS))
        pairs = contrasts(stage, subject.grids[2], HIGH_ENTROPY[3], trials, rng)
        scenes.append([p.clean.scene.key for p in pairs])
        heads = reading.heads(stage) if int(mediation.kept.sel(condition=stage)) else []
        strength = reading.strength(stage)
        present.append(strength.value is not None and strength.low > WEAKEST[stage])
        for part in parts(trials, ROWS):
            for n, score in enumerate(head_scores(half, pairs[part]), part.start):
                # Logits of half precision are told apart by no less than its step.
                score = torch.from_numpy(score).bfloat16().double().numpy()
                zero[s, n] = (score == 0).mean()
                listed = {
                    divmod(int(i), score.shape[1]) for i in np.argsort(-score, None, "stable")[:TOP]
                }
                if heads:
                    found[s, n] = len(listed & set(heads)) / len(heads)
        if stage == "id_retrieval":
            best = heads[0] if heads else (0, 0)
            read = {"at_patch": np.zeros(trials), "at_last": np.zeros(trials)}
            for part in parts(trials, ROWS):
                patches = Patches.of(subject, pairs[part], [best])
                for name, scores in read.items():
                    scores[part] = patches.scores(at_patch=name == "at_patch")[0]
    return xr.Dataset(
        {
            **{name: (("trial",), scores) for name, scores in read.items()},
            "zero": (("stage", "trial"), zero),
            "found": (("stage", "trial"), found),
            "scene": (("stage", "trial"), np.array(scenes)),
            "present": (("stage",), present),
        },
        {"stage": list(CONDITIONS)},
    )


def _in_bfloat16(subject: Subject) -> Subject:
    """The same subject in half precision, with images encoded anew."""
    if subject.model.dtype is torch.bfloat16:
        return subject
    needs_layers(subject, "a copy in bfloat16")
    return replace(subject, model=deepcopy(subject.model).bfloat16(), _images=OrderedDict())


RETRIEVAL_VARIANTS = Experiment("retrieval_variants", run, trials=96, needs=(MEDIATION,))


@dataclass(frozen=True)
class RetrievalVariants:
    """Reading of the ways to measure."""

    data: xr.Dataset

    def seen_at_patch(self) -> Estimate:
        """Share of trials in which the best ID retrieval head still counts when read at the patched token."""
        if not bool(self.data.present.sel(stage="id_retrieval")):
            return Estimate.inapplicable("no head retrieves IDs, however the logits are read")
        counts = self.data.at_patch.values > WEAKEST["id_retrieval"]
        return proportion(counts, self.data.scene.sel(stage="id_retrieval").values)

    def zeros(self, stage: str) -> Estimate:
        """Share of heads that score exactly 0 in one contrast in bfloat16."""
        return mean(self.data.zero.sel(stage=stage).values, self.data.scene.sel(stage=stage).values)

    def found(self, stage: str) -> Estimate:
        """Share of the true list that one contrast in bfloat16 finds."""
        if not bool(self.data.present.sel(stage=stage)):
            name = stage.replace("_", " ").replace("id ", "ID ")
            return Estimate.inapplicable(f"no head mediates {name}: there is no list to find")
        return mean(
            self.data.found.sel(stage=stage).values, self.data.scene.sel(stage=stage).values
        )
