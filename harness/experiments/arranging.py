"""The arrangement of image and prompt in which a subject is asked, where its entry says "auto" (protocol, 4.2).

The one with most right answers is used for all experiments. It is chosen before anything is judged, on scenes
that no experiment draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.experiments.spelling import draw_spelling_trials, find_spelling
from harness.experiments.sweeps import ARRANGEMENTS
from harness.subjects.arrangement import Arrangement, check_template
from harness.subjects.contents import take_fingerprint
from harness.subjects.registry import CannotAsk
from harness.subjects.subject import Subject

TRIED = ARRANGEMENTS[1:]
"""Arrangements of a chat template, of which one is chosen."""

TRIALS = 48
"""Asked in each of them."""


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
    trials = draw_spelling_trials(subject, TRIALS)["sentence"]
    right: dict[Arrangement, float] = {}
    for how in TRIED:
        arranged = arrange_subject(subject, how)
        try:
            check_template(subject.tokenizer, subject.anatomy, how)
            arranged.check_answers()
            found = find_spelling(arranged, "sentence", trials)
            found.check(arranged)
            right[how] = float(found.right.mean())
        except CannotAsk as error:
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
    fingerprint = take_fingerprint(entry, subject.commit, subject.contents)
    return replace(subject, entry=entry, fingerprint=fingerprint)
