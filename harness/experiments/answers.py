"""What subjects answer: whether the first token is right, an entry of a list, a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from harness.measuring.batches import parts
from harness.stimuli.prompt import NUMBERS, Trial
from harness.subjects.subject import Batch, Subject
from harness.tracing.capture import last_logits
from harness.tracing.edit import Edit
from harness.tracing.generate import generate

ROWS = 32


def answers_right(subject: Subject, trials: Sequence[Trial]) -> np.ndarray:
    """Whether the likeliest next token begins the answer, bool [n]."""
    right = []
    for rows in parts(len(trials), ROWS):
        part = trials[rows]
        said = last_logits(subject, subject.encode(part)).argmax(-1).tolist()
        right += [
            s in {subject.answer_id(t.prompt, w) for w in answers(t)}
            for s, t in zip(said, part, strict=True)
        ]
    return np.array(right)


def answers(trial: Trial) -> set[str]:
    """What counts as right: a list may begin with any object that is there, all else has one answer."""
    if trial.prompt.text.endswith("1. a"):
        return {o.color for o in trial.scene.objects}
    return {trial.answer}


def continued(
    subject: Subject,
    trials: Sequence[Trial],
    words: int,
    edits: Callable[[Batch, slice], Sequence[Edit]] | None = None,
    ablated: Sequence[tuple[int, int]] = (),
) -> list[str]:
    """How the subject goes on after each prompt, in lower case.

    Args:
        subject: The model.
        trials: n of them.
        words: How many are wanted; a tokenizer that cuts words gets three tokens for each.
        edits: From a batch, and the trials that it holds, to edits of its prompt.
        ablated: (layer, head) pairs that are silenced throughout.
    """
    steps = words if subject.entry.scale == "embedded" else 3 * words
    found: list[str] = []
    for part in parts(len(trials), ROWS):
        batch = subject.encode(trials[part])
        made = edits(batch, part) if edits else ()
        found += generate(subject, batch, steps, made, ablated)
    return [" ".join(text.lower().split()) for text in found]


def first_listed(text: str) -> str:
    """The object that a continuation of "1. a" names, up to the next number or mark; "" if none."""
    return re.split(r"\s*(?:[^a-z\s]|\b(?:two|three|and|with)\b)", text.strip(), maxsplit=1)[
        0
    ].strip()


def counted(text: str) -> int | None:
    """The number that a continuation gives, after "answer:" if it says so; None if there is none."""
    # A subject that corrects itself means what it says last.
    said = re.findall(r"answer\s*:\s*(\d+|[a-z]+)", text)[::-1] or re.findall(
        # Numbers with a dot behind them count the entries of the list.
        r"\b\d+\b(?!\s*\.\s*[a-z])|[a-z]+",
        text,
    )
    for word in said:
        if word.isdigit():
            return int(word)
        if word in NUMBERS:
            return NUMBERS.index(word)
    return None
