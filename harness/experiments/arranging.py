"""The arrangement of image and prompt in which a subject is asked, where its entry says "auto" (protocol, 4.2).

The one with most right answers is used for all experiments. It is chosen before anything is judged, on scenes
that no experiment draws.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.experiments.answers import check_answers_right
from harness.experiments.sweeps import ARRANGEMENTS
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.subjects.arrangement import Arrangement, NoTemplate, check_template
from harness.subjects.subject import SharedFirstPiece, Subject

TRIED = ARRANGEMENTS[1:]
"""Arrangements of a chat template, of which one is chosen."""

TRIALS = 48
"""Asked in each of them."""


def draw_arrangement_trials(subject: Subject) -> list[Trial]:
    """The trials on which an arrangement is chosen.

    They show three objects on the 2x2 canvas, where every experiment shows two or four.
    """
    grid = subject.grids[2]
    rng = np.random.default_rng(zlib.crc32(b"arrangement"))
    return draw_balanced_trials(grid, HIGH_ENTROPY[3], TRIALS, rng, cells=grid.cells[:3])


def choose_arrangement(subject: Subject, say: Callable[[str], None]) -> Subject:
    """Choose the arrangement with most right answers, unless the subject's entry names one.

    Args:
        subject: As it was loaded.
        say: Receives lines that tell what was tried, the share of right answers, and what is used.

    Returns:
        The same model under an entry that names the arrangement, which is part of the fingerprint.
    """
    if subject.entry.arrangement != "auto":
        return subject
    if not getattr(subject.tokenizer, "chat_template", None):
        say("arrangement: plain (the tokenizer has no chat template)")
        return arrange_subject(subject, "plain")
    trials = draw_arrangement_trials(subject)
    right: dict[Arrangement, float] = {}
    for how in TRIED:
        arranged = arrange_subject(subject, how)
        try:
            check_template(subject.tokenizer, subject.anatomy, how)
            arranged.check_answers(trials[0].prompt)
            right[how] = float(check_answers_right(arranged, trials).mean())
        except (NoTemplate, SharedFirstPiece) as error:
            say(f"arrangement: not {how}, since {error}")
    if not right:
        return arrange_subject(subject, "plain")
    best = max(right, key=lambda how: right[how])
    tried = ", ".join(f"{how} {share:.2f}" for how, share in right.items())
    say(f"arrangement: {tried}: {best}")
    return arrange_subject(subject, best)


def arrange_subject(subject: Subject, how: Arrangement) -> Subject:
    """The same model asked in another arrangement."""
    entry = replace(subject.entry, arrangement=how)
    return replace(subject, entry=entry, fingerprint=entry.fingerprint(subject.commit))
