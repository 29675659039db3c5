"""What subjects write: how a prompt is gone on with, the first entry of a list, a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from harness.measuring.batches import cut_batches
from harness.stimuli.prompt import NUMBERS, Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit
from harness.tracing.generate import generate

ROWS = 32
"""Trials in one pass at most."""


def continue_prompts(
    subject: Subject,
    trials: Sequence[Trial],
    words: int,
    edits: Callable[[Batch, slice], Sequence[Edit]] | None = None,
    ablated: Sequence[tuple[int, int]] = (),
) -> list[str]:
    """The text with which the subject goes on after each prompt, in lower case with single spaces.

    Args:
        subject: The model.
        trials: n of them.
        words: How many are wanted; a subject whose tokenizer cuts words gives three tokens for each.
        edits: Makes the edits of one batch, from the batch and the slice of `trials` that it holds.
        ablated: (layer, head) pairs that are silenced at every token.
    """
    steps = words if subject.entry.scale == "embedded" else 3 * words
    found: list[str] = []
    for part in cut_batches(len(trials), ROWS):
        batch = subject.encode(trials[part])
        made = edits(batch, part) if edits else ()
        found += generate(subject, batch, steps, made, ablated)
    return [" ".join(text.lower().split()) for text in found]


def read_first_entry(text: str) -> str:
    """The object with which a continuation of "1. a" begins; "" if none.

    It ends at the next number, mark, "with" or "and".
    """
    return re.split(r"\s*(?:[^a-z\s]|\b(?:two|three|and|with)\b)", text.strip(), maxsplit=1)[
        0
    ].strip()


def read_number(text: str) -> int | None:
    """The number that a continuation gives, after "answer:" if it says so; None if there is none."""
    # Of several answers the last one counts: by then a subject has corrected itself.
    named = re.findall(r"answer\s*:\s*(\d+|[a-z]+)", text)[::-1] or re.findall(
        # Numbers with a dot behind them count the entries of the list.
        r"\b\d+\b(?!\s*\.\s*[a-z])|[a-z]+",
        text,
    )
    for word in named:
        if word.isdigit():
            return int(word)
        if word in NUMBERS:
            return NUMBERS.index(word)
    return None
