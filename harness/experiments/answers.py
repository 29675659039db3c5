"""What subjects answer: whether the first token of an answer is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.experiments.editing import find_answers
from harness.stimuli.prompt import Trial
from harness.subjects.subject import Subject

ROWS = 32
"""Trials in one pass at most."""


def check_answers_right(subject: Subject, trials: Sequence[Trial]) -> NDArray[np.bool_]:
    """Whether the likeliest next token begins the answer, in any spelling, bool [n]."""
    return np.array(
        [
            word in list_right_answers(t)
            for word, t in zip(find_answers(subject, trials)[0].tolist(), trials, strict=True)
        ]
    )


def list_right_answers(trial: Trial) -> set[str]:
    """The words that count as right: the color of any object where a list begins, else the one answer."""
    if trial.prompt.text.endswith("1. a"):
        return {o.color for o in trial.scene.objects}
    return {trial.answer}
