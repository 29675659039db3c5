"""Mediation as the public reproduction measured it (protocol, section 9, numbers 1 and 2).

The same contrasts are scored by the equation, 50 of them in the model's precision; with logits read where
the patch is; and one at a time in bfloat16.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import linear

from harness.experiments.editing import WEAK, Head, rank_heads, select_kept_scores
from harness.experiments.halves import list_ranked_scenes
from harness.experiments.patching import Patches, read_patched_logits
from harness.experiments.visual_symbols.mediation import ROWS
from harness.measures.mediation import (
    compute_listing_chance,
    mediation_score,
    read_best_head,
)
from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.stimuli.contrast import CONDITIONS, Condition, Contrast, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.subject import Subject
from harness.tracing.elsewhere import require_layers

TOP = 10
"""Heads of a list, as in the protocol's thresholds."""

PATIENCE = 64
"""Contrasts drawn at most in search of those on other scenes, as a multiple of those wanted."""


@dataclass(frozen=True)
class StageVariants:
    """What was measured for one stage.

    Attributes:
        pairs: n contrasts.
        heads: The best heads of the mediation experiment, TOP at most.
        zero: Share of heads that score exactly 0 in bfloat16 in each contrast, [n].
        found: Share of `heads` among the TOP best of each contrast, where heads of equal scores are ordered by
            lot, [n]; NaN if there are none.
    """

    pairs: list[Contrast]
    heads: list[Head]
    zero: NDArray[np.float64]
    found: NDArray[np.float64]


def measure(request: Request) -> xr.Dataset:
    """Measure the scores of heads in the paper's way and in ways that depart from it.

    No contrast shows a scene that ranked the heads of its stage.

    Returns:
        `at_patch`, `at_last` [trial]: score of the best ID retrieval head, with logits read at the patched
        token and at the last; `zero` [stage, trial]: share of heads that score exactly 0 in bfloat16; `found`
        [stage, trial]: share of the best heads of the mediation experiment, ten at most, among the ten best of
        that one trial, NaN where the stage has none; `scene` [stage, trial]. All these are NaN, and the scene
        is "", for trials for which no other scenes could be found. `strength` [stage, scored] and
        `strength_scene`: scores of the best head on the evaluation half of the mediation experiment, NaN and ""
        beyond its trials.
    """
    subject, mediation = request.subject, request.needed["mediation"]
    half = _convert_to_bfloat16(subject)
    stages: dict[Condition, StageVariants] = {}
    for done, stage in enumerate(CONDITIONS):
        request.progress(done, len(CONDITIONS))
        pairs = _draw_unseen(request, stage, list_ranked_scenes(mediation, [stage]))
        stages[stage] = _measure_stage(half, pairs, rank_heads(mediation, stage, TOP, WEAK))
    retrieval = stages["id_retrieval"]
    best = retrieval.heads[0] if retrieval.heads else (0, 0)
    read = _read_both_ways(subject, retrieval.pairs, best)
    scenes = np.full((len(stages), request.trials), "", dtype="<U16")
    for row, s in zip(scenes, stages.values(), strict=True):
        row[: len(s.pairs)] = [p.clean.scene.key for p in s.pairs]
    strength, strength_scene = _read_strengths(mediation)
    return xr.Dataset(
        {
            **{name: (("trial",), _fill(scores, request.trials)) for name, scores in read.items()},
            "zero": (("stage", "trial"), [_fill(s.zero, request.trials) for s in stages.values()]),
            "found": (
                ("stage", "trial"),
                [_fill(s.found, request.trials) for s in stages.values()],
            ),
            "scene": (("stage", "trial"), scenes),
            "strength": (("stage", "scored"), strength),
            "strength_scene": (("stage", "scored"), strength_scene),
        },
        {"stage": list(CONDITIONS)},
    )


def _measure_stage(half: Subject, pairs: list[Contrast], heads: list[Head]) -> StageVariants:
    """Score all heads in bfloat16 in each contrast alone; `half` is the subject in bfloat16."""
    zero, found = np.zeros(len(pairs)), np.full(len(pairs), np.nan)
    for part in cut_batches(len(pairs), ROWS):
        clean, patched = map(_round, read_patched_logits(half, pairs[part]))
        for n, score in enumerate(mediation_score(patched, clean[:, None, None]), part.start):
            zero[n] = (score == 0).mean()
            if heads:
                chance = compute_listing_chance(score, TOP)
                found[n] = np.mean([chance[head] for head in heads])
    return StageVariants(pairs, heads, zero, found)


def _round(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round logits to bfloat16, in which a model in half precision gives them before they are subtracted."""
    return torch.from_numpy(logits).bfloat16().double().numpy()


def _draw_unseen(request: Request, stage: Condition, seen: set[str]) -> list[Contrast]:
    """Draw contrasts of which neither side shows one of the scenes `seen`; fewer if they are hard to find."""
    grid, wanted = request.subject.grids[2], request.trials
    found: list[Contrast] = []
    for _ in range(PATIENCE):
        pairs = draw_contrasts(stage, grid, HIGH_ENTROPY[3], wanted, request.rng)
        found += [p for p in pairs if not {p.clean.scene.key, p.counterfactual.scene.key} & seen]
        if len(found) >= wanted:
            break
    return found[:wanted]


def _fill(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The values, followed by NaN up to a length."""
    return np.pad(values, (0, length - len(values)), constant_values=np.nan)


def _read_strengths(
    mediation: xr.Dataset,
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Scores of each stage's best head on the evaluation half, and their scenes [stage, scored].

    NaN and "" beyond the trials that there are, and where they show fewer than two scenes.
    """
    strength = np.full((len(CONDITIONS), mediation.sizes["trial"]), np.nan)
    strength_scene = np.full(strength.shape, "", mediation.scene.dtype)
    for s, stage in enumerate(CONDITIONS):
        scores, scenes = select_kept_scores(mediation, stage)
        if len(np.unique(scenes)) >= 2:
            own, own_scenes = read_best_head(scores, scenes)
            strength[s, : len(own)], strength_scene[s, : len(own)] = own, own_scenes
    return strength, strength_scene


def _read_both_ways(
    subject: Subject, pairs: Sequence[Contrast], head: Head
) -> dict[str, NDArray[np.float64]]:
    """Scores [trial] of one head with logits read at the patched token, and at the last."""
    read = {"at_patch": np.zeros(len(pairs)), "at_last": np.zeros(len(pairs))}
    for part in cut_batches(len(pairs), ROWS):
        patches = Patches.of(subject, pairs[part], [head])
        for name, scores in read.items():
            scores[part] = patches.scores(at_patch=name == "at_patch")[0]
    return read


def _convert_to_bfloat16(subject: Subject) -> Subject:
    """The same subject in bfloat16; its images are encoded anew."""
    if subject.model.dtype is torch.bfloat16:
        return subject
    require_layers(subject, "a copy in bfloat16")
    half = deepcopy(subject.model).bfloat16()
    if subject.device.type == "cpu":
        # One layer may stand under two names; a subclass may compute something else.
        every = list(half.named_modules(remove_duplicate=False))
        for name, layer in [(name, m) for name, m in every if type(m) is nn.Linear]:
            half.set_submodule(name, _LinearOfHalves(layer))
    return replace(subject, model=half, _images=OrderedDict())


class _LinearOfHalves(nn.Module):
    """A linear layer in bfloat16 that adds its products in float32, as a GPU does.

    Products of two bfloat16 numbers are exact in float32, so that only the result is rounded. A CPU without
    instructions for bfloat16 takes ten times as long for the same.

    Args:
        layer: Gives its weight and bias.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        bias = None if self.bias is None else self.bias.float()
        return linear(states.float(), self.weight.float(), bias).to(states.dtype)
