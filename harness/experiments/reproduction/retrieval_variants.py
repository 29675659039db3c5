"""Mediation as the public reproduction measured it (protocol, section 9, numbers 1 and 2).

The same contrasts are scored by the equation, 50 of them in the model's precision; with logits read where
the patch is; and one at a time in bfloat16.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import Head, head_means, kept_scores
from harness.experiments.patching import Patches, head_scores
from harness.experiments.visual_symbols.mediation import ROWS
from harness.measures.mediation import read_best_head, top_heads
from harness.measuring.batches import parts
from harness.measuring.experiment import Request
from harness.stimuli.contrast import CONDITIONS, Contrast, contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.subject import Subject
from harness.tracing.elsewhere import needs_layers

TOP = 10
"""Heads of a list, as in the protocol's thresholds."""


def measure(request: Request) -> xr.Dataset:
    """Scores of the heads under each way of measuring.

    Returns:
        `at_patch`, `at_last` [trial]: score of the best ID retrieval head, with logits read at the patched
        token and at the last; `zero` [stage, trial]: share of heads that score exactly 0 in bfloat16; `found`
        [stage, trial]: share of the best heads of the mediation experiment, ten at most, among the ten best of
        that one trial, NaN where the stage has none; `scene` [stage, trial]; `strength` [stage, scored] and
        `strength_scene`: scores of the best head on the evaluation half of the mediation experiment, NaN and ""
        beyond its trials.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    mediation = request.needed["mediation"]
    half = _in_bfloat16(subject)
    shape = (len(CONDITIONS), trials)
    zero, found = np.zeros(shape), np.full(shape, np.nan)
    strength = np.full((len(CONDITIONS), mediation.sizes["trial"]), np.nan)
    strength_scene = np.full(strength.shape, "", mediation.scene.dtype)
    scenes = []
    for s, stage in enumerate(CONDITIONS):
        request.progress(s, len(CONDITIONS))
        pairs = contrasts(stage, subject.grids[2], HIGH_ENTROPY[3], trials, rng)
        scenes.append([p.clean.scene.key for p in pairs])
        heads = top_heads(head_means(mediation, stage), TOP)
        scores, scored = kept_scores(mediation, stage)
        if len(np.unique(scored)) >= 2:
            own, own_scenes = read_best_head(scores, scored)
            strength[s, : len(own)], strength_scene[s, : len(own)] = own, own_scenes
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
            read = _read_both_ways(subject, pairs, heads[0] if heads else (0, 0))
    return xr.Dataset(
        {
            **{name: (("trial",), scores) for name, scores in read.items()},
            "zero": (("stage", "trial"), zero),
            "found": (("stage", "trial"), found),
            "scene": (("stage", "trial"), np.array(scenes)),
            "strength": (("stage", "scored"), strength),
            "strength_scene": (("stage", "scored"), strength_scene),
        },
        {"stage": list(CONDITIONS)},
    )


def _read_both_ways(
    subject: Subject, pairs: Sequence[Contrast], head: Head
) -> dict[str, NDArray[np.float64]]:
    """Scores [trial] of one head with logits read at the patched token, and at the last."""
    read = {"at_patch": np.zeros(len(pairs)), "at_last": np.zeros(len(pairs))}
    for part in parts(len(pairs), ROWS):
        patches = Patches.of(subject, pairs[part], [head])
        for name, scores in read.items():
            scores[part] = patches.scores(at_patch=name == "at_patch")[0]
    return read


def _in_bfloat16(subject: Subject) -> Subject:
    """The same subject in half precision, with images encoded anew."""
    if subject.model.dtype is torch.bfloat16:
        return subject
    needs_layers(subject, "a copy in bfloat16")
    return replace(subject, model=deepcopy(subject.model).bfloat16(), _images=OrderedDict())
