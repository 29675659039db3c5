"""Experiment D: what is left of the answers when vision has not said which item stands where? (section 5.3.1)

At the decoder's input every item's tokens are replaced by those of an image that shows the item alone in the
middle, and all other image tokens by those of an empty image. Each item's tokens then say what it is, none
where it was; only the decoder can still know in which order they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import ROWS, find_answers
from harness.experiments.row_pairs import explain_no_tokens, find_all_tokens
from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.stimuli.prompt import Trial, color_question
from harness.stimuli.rows import (
    RowQuestion,
    Setting,
    draw_row_questions,
    show_alone,
    show_nothing,
)
from harness.stimuli.scene import Scene
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.capture import capture
from harness.tracing.edit import Edit
from harness.tracing.replay import Variant

CONDITIONS = ("before", "after")


class References:
    """The image tokens of items shown alone and of empty images, each read once.

    Args:
        subject: The model.
        questions: All questions whose ordering may be removed.
    """

    def __init__(self, subject: Subject, questions: Sequence[RowQuestion]) -> None:
        self.tokens: dict[str, torch.Tensor] = {}
        wanted: dict[str, tuple[RowQuestion, Scene]] = {}
        for question in questions:
            alone = (show_alone(question, item) for item in question.items)
            for scene in (show_nothing(question), *alone):
                wanted.setdefault(scene.key, (question, scene))
        keys = list(wanted)
        for part in cut_batches(len(keys), ROWS):
            shown = [
                question.shown_on(scene) for question, scene in (wanted[k] for k in keys[part])
            ]
            batch = subject.encode(shown)
            read = capture(subject, batch, "embedding", batch.image_tokens)[0]
            self.tokens |= dict(zip(keys[part], read, strict=True))

    def remove(self, questions: Sequence[RowQuestion], batch: Batch) -> Edit:
        """The edit of a batch that removes what vision says of the ordering.

        Args:
            questions: The B questions of the batch.
            batch: B rows, the same images.
        """
        values = []
        for question, tokens in zip(questions, find_all_tokens(questions, batch), strict=True):
            value = self.tokens[show_nothing(question).key].clone()
            for item, own in zip(question.items, tokens.items, strict=True):
                alone = self.tokens[show_alone(question, item).key]
                value[list(own)] = alone[list(tokens.items[1])]
            values.append(value)
        return Edit("embedding", 0, batch.image_tokens, torch.stack(values))


def _measure(request: Request, setting: Setting) -> xr.Dataset:
    """Ask about rows with and without their ordering.

    Returns:
        `said` [condition, trial]: the answers; `answer`, `other`, `middle` [trial]: the colors of the target,
        the other outer item and the named one; `named` bool [condition, trial]: whether the color of the
        target is told when it is asked for by its shape alone, which needs no ordering (not in Squares, where
        shapes are equal); `direction`, `scene` [trial].
    """
    subject = request.subject
    if reason := explain_no_tokens(request, setting):
        return xr.Dataset(attrs={"no_tokens": reason})
    questions = draw_row_questions(subject.row_grid, setting, request.trials, request.rng)
    references = References(subject, questions)

    def remove(batch: Batch, part: slice) -> list[Variant]:
        """No edit, and the removal."""
        return [[], [references.remove(questions[part], batch)]]

    trials = [q.trial for q in questions]
    request.progress(0, 2)
    found: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
        "said": (("condition", "trial"), find_answers(subject, trials, remove))
    }
    request.progress(1, 2)
    if setting != "squares":
        asked = [_ask_by_shape(q) for q in questions]
        named = find_answers(subject, asked, remove) == [t.answer for t in asked]
        found["named"] = (("condition", "trial"), named)
    ends = [(q.items[q.place], q.items[2 - q.place], q.items[1]) for q in questions]
    for name, which in zip(("answer", "other", "middle"), zip(*ends, strict=True), strict=True):
        found[name] = (("trial",), np.array([item.color for item in which]))
    found["direction"] = (("trial",), np.array([q.direction for q in questions]))
    found["scene"] = (("trial",), np.array([t.scene.key for t in trials]))
    return xr.Dataset(found, {"condition": list(CONDITIONS)})


def _ask_by_shape(question: RowQuestion) -> Trial:
    """The same image with the question for the color of the target's shape."""
    trial = question.trial
    prompt = color_question(trial.target.shape, trial.target.color)
    return replace(trial, prompt=prompt, described=())


def measure(request: Request) -> xr.Dataset:
    """Remove the ordering from rows of the Shapes setting, as `_measure` says."""
    return _measure(request, "shapes")


def measure_squares(request: Request) -> xr.Dataset:
    """Remove the ordering from rows of the Squares setting, as `_measure` says."""
    return _measure(request, "squares")


def measure_solids(request: Request) -> xr.Dataset:
    """Remove the ordering from rows of solids on textured ground, as `_measure` says."""
    return _measure(request, "solids")
