"""What subjects answer: whether the first token of an answer is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.experiments.editing import find_answers
from harness.stimuli.prompt import Trial
from harness.subjects.subject import Subject


def check_answers_right(subject: Subject, trials: Sequence[Trial]) -> NDArray[np.bool_]:
    """Whether the likeliest next token begins the answer, in any spelling, bool [n]."""
    return np.asarray(find_answers(subject, trials)[0] == [t.answer for t in trials])
