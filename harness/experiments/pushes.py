"""Position IDs of the stages, and edits that push an answer to the other side of an image (section 4.2).

An ID is the mean activation of a stage's heads over the images in which the object that it points to is on one
side. A push adds the difference between the other side's ID and the own one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from harness.experiments.editing import (
    Head,
    average_by_label,
    capture_all_sites,
    edit_heads,
    find_answers,
    find_last_token,
    make_mention_finder,
)
from harness.experiments.sweeps import ALPHAS, list_head_counts
from harness.statistics.choice import choose_as_good
from harness.stimuli.contrast import Condition
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import SIDES, side_of
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit
from harness.tracing.site import Kind

KIND: dict[Condition, Kind] = {
    "id_retrieval": "head",
    "id_selection": "head",
    "feature_retrieval": "query",
}
"""What is edited at each stage; queries before rotation, as the paper has keys (section 4.2)."""


@dataclass(frozen=True)
class Push:
    """One edit: the heads of a stage are pushed towards the other side of the image.

    Attributes:
        stage: One of the three conditions.
        heads: (layer, head) pairs.
        alpha: What the difference of the two IDs is multiplied with before it is added.
        by_trial: The heads of each trial, where every trial has its own; then `heads` is empty.
    """

    stage: Condition
    heads: tuple[Head, ...]
    alpha: float
    by_trial: tuple[tuple[Head, ...], ...] = ()

    @property
    def away(self) -> Push:
        """The same heads, pushed the other way."""
        return replace(self, alpha=-self.alpha)

    @property
    def edited(self) -> tuple[Head, ...]:
        """All heads that are pushed in any trial."""
        return self.heads or tuple(sorted({h for of_trial in self.by_trial for h in of_trial}))

    def select(self, layers: int, heads: int) -> torch.Tensor:
        """Which heads are pushed in which trial, 0 or 1: float32 [L, 1 or n, 1, H, 1]."""
        rows = self.by_trial or (self.heads,)
        chosen = torch.zeros(layers, len(rows), 1, heads, 1)
        for row, of_trial in enumerate(rows):
            for layer, head in of_trial:
                chosen[layer, row, 0, head] = 1
        return chosen


NO_PUSH = Push("id_selection", (), 0.0)
"""No edit at all."""


def list_settings(subject: Subject, ranked: Mapping[Condition, Sequence[Head]]) -> list[Push]:
    """Every number of heads with every strength, stage by stage, the gentlest first: weak before few."""
    return [
        Push(stage, tuple(heads[:k]), alpha)
        for stage, heads in ranked.items()
        for alpha, k in product(ALPHAS[stage], list_head_counts(subject, len(heads)))
    ]


def choose_push(
    stage: Condition,
    settings: Sequence[Push],
    moved: NDArray[np.bool_],
    scenes: NDArray[np.str_],
) -> Push:
    """The gentlest setting of a stage that is as good as its best one; `moved` is [setting, n], `scenes` [n].

    A stronger push than is needed leaves what the subject knows, and does more than give it another ID.
    """
    of_stage = [n for n, s in enumerate(settings) if s.stage == stage]
    return settings[of_stage[choose_as_good(moved[of_stage], scenes)]]


def find_best(stage: Condition, settings: Sequence[Push], moved: NDArray[np.bool_]) -> Push:
    """The setting of a stage that moves most answers, the first of equals; `moved` is [setting, n]."""
    of_stage = [n for n, s in enumerate(settings) if s.stage == stage]
    return settings[of_stage[int(moved[of_stage].mean(1).argmax())]]


class Pushes:
    """The IDs of some stages, estimated from one run of each image, and edits with them.

    Args:
        subject: The model.
        stages: Of which IDs are needed.
        estimation: Trials from which they are estimated.
    """

    def __init__(
        self, subject: Subject, stages: Sequence[Condition], estimation: Sequence[Trial]
    ) -> None:
        self.subject = subject
        width = min(len(row[0]) for row in subject.encode(estimation[:64]).mentions)
        self.tokens = {
            stage: make_mention_finder(width) if _is_at_mention(stage) else find_last_token
            for stage in KIND
        }
        sites = [(KIND[stage], self.tokens[stage]) for stage in stages]
        values = capture_all_sites(subject, estimation, sites) if stages else []
        self.ids = {
            stage: average_by_label(of_stage, _find_sides(stage, estimation), SIDES)
            for stage, of_stage in zip(stages, values, strict=True)
        }

    def moved(self, trials: Sequence[Trial], pushes: Sequence[Push]) -> NDArray[np.bool_]:
        """Whether the described object's color is named under each push, bool [push, n]."""
        return self.said(trials, pushes) == [t.described[0].color for t in trials]

    def said(self, trials: Sequence[Trial], pushes: Sequence[Push]) -> NDArray[np.str_]:
        """The answers under each push, words [push, n].

        Pushes at the mention run apart from those at the last token, which change less and so cost less.
        """
        found = np.full((len(pushes), len(trials)), "", dtype=object)
        for at_mention in (True, False):
            chosen = [n for n, p in enumerate(pushes) if _is_at_mention(p.stage) == at_mention]
            if chosen:
                found[chosen] = self._run(trials, [pushes[n] for n in chosen])
        return found.astype(np.str_)

    def _run(self, trials: Sequence[Trial], pushes: Sequence[Push]) -> NDArray[np.str_]:
        """The answers under each push, words [push, n], all run together."""
        # For each stage [L, n, S, H, w]: what takes each trial to the other side.
        shift = {
            stage: (ids[1 - own] - ids[own]).transpose(0, 1)
            for stage, ids in self.ids.items()
            for own in [torch.from_numpy(_find_sides(stage, trials))]
        }

        def make_edits(push: Push, batch: Batch, part: slice) -> list[Edit]:
            if not push.edited:
                return []
            added = push.alpha * shift[push.stage][:, part]
            if push.by_trial:
                # To heads that are not pushed in a trial, 0 is added.
                chosen = push.select(self.subject.layers, self.subject.heads)
                added = added * chosen[:, part]
            tokens = self.tokens[push.stage](batch)
            return edit_heads(KIND[push.stage], push.edited, tokens, added, "add")

        return find_answers(
            self.subject, trials, lambda b, part: [make_edits(p, b, part) for p in pushes]
        )


def _is_at_mention(stage: Condition) -> bool:
    """Whether a stage is edited at the tokens of the mention; else at the last token."""
    return stage == "id_retrieval"


def _find_sides(stage: Condition, trials: Sequence[Trial]) -> NDArray[np.int64]:
    """The side of the object that a stage's ID points to, the described one or the target: 0 or 1, [n]."""
    shown = [t.described[0] if _is_at_mention(stage) else t.target for t in trials]
    return np.array([side_of(t.scene, o) for t, o in zip(trials, shown, strict=True)])
