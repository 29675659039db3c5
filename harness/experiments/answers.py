"""What subjects answer: whether the first token of an answer is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.measuring.batches import cut_batches
from harness.stimuli.prompt import Trial
from harness.subjects.subject import Subject
from harness.tracing.capture import read_last_logits

ROWS = 32
"""Trials in one pass at most."""


def check_answers_right(subject: Subject, trials: Sequence[Trial]) -> NDArray[np.bool_]:
    """Whether the likeliest next token begins the answer, bool [n]."""
    right: list[bool] = []
    for rows in cut_batches(len(trials), ROWS):
        part = trials[rows]
        named = read_last_logits(subject, subject.encode(part)).argmax(-1).tolist()
        right += [
            token in {subject.answer_id(t.prompt, w) for w in list_right_answers(t)}
            for token, t in zip(named, part, strict=True)
        ]
    return np.array(right)


def list_right_answers(trial: Trial) -> set[str]:
    """The words that count as right: the color of any object where a list begins, else the one answer."""
    if trial.prompt.text.endswith("1. a"):
        return {o.color for o in trial.scene.objects}
    return {trial.answer}
