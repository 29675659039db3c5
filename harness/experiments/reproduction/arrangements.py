"""Accuracy in every arrangement of image and prompt (protocol, section 9, number 7)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from harness.experiments.editing import find_answers
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.spelling import draw_spelling_trials, find_spelling
from harness.experiments.sweeps import ARRANGEMENTS
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.arrangement import NoTemplate, check_template
from harness.subjects.spelling import Speech

TRIALS = 48
"""On which the spelling of each arrangement is found out."""


def measure(request: Request) -> xr.Dataset:
    """Accuracy in every arrangement (protocol, section 9, number 7): `right` [how, trial], `part` [trial].

    Without a chat template that can hold an image there is only the attribute `no_chat`, the reason.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    try:
        for how in ARRANGEMENTS:
            check_template(subject.tokenizer, subject.anatomy, how)
    except NoTemplate as reason:
        return xr.Dataset(attrs={"no_chat": str(reason)})
    drawn = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    right = []
    for how in ARRANGEMENTS:
        arranged = replace(subject, entry=replace(subject.entry, arrangement=how))
        # What is written before an answer, and how, differs between arrangements.
        spelled = draw_spelling_trials(arranged, TRIALS)["sentence"]
        spelling = find_spelling(arranged, "sentence", spelled).spelling
        spoken = replace(arranged, speech=Speech(sentence=spelling))
        right.append(find_answers(spoken, drawn)[0] == [t.answer for t in drawn])
    halves = Halves.deal(list_scenes(drawn), rng)
    return xr.Dataset(
        {
            "right": (("how", "trial"), np.array(right)),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
        },
        {"how": list(ARRANGEMENTS)},
    )
