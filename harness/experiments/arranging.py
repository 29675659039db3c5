"""Which arrangement a subject is asked in, where its entry leaves that to how well it answers (protocol 4.2).

Decided on scenes that no experiment draws, before anything is judged, and then the same for all experiments.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.experiments.answers import answers_right
from harness.experiments.sweeps import ARRANGEMENTS
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.stimuli.prompt import Trial
from harness.subjects.arrangement import Arrangement, NoTemplate
from harness.subjects.subject import SharedFirstPiece, Subject

TRIED = ARRANGEMENTS[1:]

TRIALS = 48


def trials_for(subject: Subject) -> list[Trial]:
    """Three objects on the 2x2 canvas: every experiment shows two there, or four."""
    grid = subject.grids[2]
    rng = np.random.default_rng(zlib.crc32(b"arrangement"))
    return balanced_trials(grid, HIGH_ENTROPY[3], TRIALS, rng, cells=grid.cells[:3])


def choose_arrangement(subject: Subject, say: Callable[[str], None]) -> Subject:
    """The subject in one arrangement; as it is, if its entry names one.

    Args:
        subject: As it was loaded.
        say: Receives a line: what was tried, how many answers were right, and what is used.

    Returns:
        The same model under an entry that names the arrangement, which is part of the fingerprint.
    """
    if subject.entry.arrangement != "auto":
        return subject
    if not getattr(subject.tokenizer, "chat_template", None):
        say("arrangement: plain (the tokenizer has no chat template)")
        return in_arrangement(subject, "plain")
    trials = trials_for(subject)
    right: dict[Arrangement, float] = {}
    for how in TRIED:
        arranged = in_arrangement(subject, how)
        try:
            arranged.check_answers(trials[0].prompt)
            right[how] = answers_right(arranged, trials).mean()
        except (NoTemplate, SharedFirstPiece) as error:
            say(f"arrangement: not {how}, since {error}")
    if not right:
        return in_arrangement(subject, "plain")
    best = max(right, key=lambda how: right[how])
    tried = ", ".join(f"{how} {share:.2f}" for how, share in right.items())
    say(f"arrangement: {tried}: {best}")
    return in_arrangement(subject, best)


def in_arrangement(subject: Subject, how: Arrangement) -> Subject:
    """The same model asked in another arrangement."""
    entry = replace(subject.entry, arrangement=how)
    return replace(subject, entry=entry, fingerprint=entry.fingerprint(subject.commit))
