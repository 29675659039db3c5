"""Position IDs of the stages, and edits that push an answer to the other side of an image (section 4.2).

An ID is the mean activation of a stage's heads over the images in which the object that it points to is on one
side. A push adds the difference between the other side's ID and the own one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from harness.experiments.editing import (
    Head,
    captured_sites,
    head_edits,
    ids_of,
    last_token,
    mean_by,
    mention_tokens,
    said,
)
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import SIDES, side_of
from harness.subjects.subject import Batch, Subject
from harness.tracing.edit import Edit
from harness.tracing.site import Kind

KIND: dict[str, Kind] = {
    "id_retrieval": "head",
    "id_selection": "head",
    "feature_retrieval": "query",
}
"""What is edited at each stage; queries before rotation, as the paper has keys (section 4.2)."""


@dataclass(frozen=True)
class Push:
    """One edit: the heads of a stage are pushed towards the other side, this strongly."""

    stage: str
    heads: tuple[Head, ...]
    alpha: float

    @property
    def away(self) -> Push:
        """The same heads, pushed the other way."""
        return Push(self.stage, self.heads, -self.alpha)


NOTHING = Push("id_selection", (), 0.0)
"""No edit at all."""


class Pushes:
    """The IDs of some stages, estimated from one run of each image, and edits with them."""

    def __init__(self, subject: Subject, stages: list[str], estimation: list[Trial]) -> None:
        self.subject = subject
        width = min(len(row[0]) for row in subject.encode(estimation[:64]).mentions)
        self.tokens = {
            stage: mention_tokens(width) if _at_mention(stage) else last_token for stage in KIND
        }
        sites = [(KIND[stage], self.tokens[stage]) for stage in stages]
        values = captured_sites(subject, estimation, sites) if stages else []
        self.ids = {
            stage: mean_by(of_stage, _sides(stage, estimation), SIDES)
            for stage, of_stage in zip(stages, values, strict=True)
        }

    def moved(self, trials: list[Trial], pushes: list[Push]) -> np.ndarray:
        """Whether the described object's color is named under each push, bool [push, n]."""
        wanted = ids_of(self.subject, trials, [t.described[0].color for t in trials])
        return self.said(trials, pushes) == wanted

    def said(self, trials: list[Trial], pushes: list[Push]) -> np.ndarray:
        """The likeliest next token under each push, int64 [push, n].

        Pushes at the mention and at the last token are run apart: after the last there is less to compute.
        """
        found = np.zeros((len(pushes), len(trials)), np.int64)
        for at_mention in (True, False):
            chosen = [n for n, p in enumerate(pushes) if _at_mention(p.stage) == at_mention]
            if chosen:
                found[chosen] = self._said(trials, [pushes[n] for n in chosen])
        return found

    def _said(self, trials: list[Trial], pushes: list[Push]) -> np.ndarray:
        # [L, n, S, H, w] of each stage
        shift = {
            stage: (ids[1 - own] - ids[own]).transpose(0, 1)
            for stage, ids in self.ids.items()
            for own in [torch.from_numpy(_sides(stage, trials))]
        }

        def edits(push: Push, batch: Batch, part: slice) -> list[Edit]:
            if not push.heads:
                return []
            added = push.alpha * shift[push.stage][:, part]
            tokens = self.tokens[push.stage](batch)
            return head_edits(KIND[push.stage], push.heads, tokens, added, "add")

        return said(self.subject, trials, lambda b, part: [edits(p, b, part) for p in pushes])


def _at_mention(stage: str) -> bool:
    return stage == "id_retrieval"


def _sides(stage: str, trials: list[Trial]) -> np.ndarray:
    """Where the object is that a stage's ID points to: the described one, or the target."""
    shown = [t.described[0] if _at_mention(stage) else t.target for t in trials]
    return np.array([side_of(t.scene, o) for t, o in zip(trials, shown, strict=True)])
