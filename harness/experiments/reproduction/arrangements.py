"""Accuracy in every arrangement of image and prompt (protocol, section 9, number 7)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from harness.experiments.editing import find_answer_tokens, find_likeliest_tokens
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.sweeps import ARRANGEMENTS
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials


def measure(request: Request) -> xr.Dataset:
    """Accuracy in every arrangement (protocol, section 9, number 7): `right` [how, trial], `part` [trial]."""
    subject, trials, rng = request.subject, request.trials, request.rng
    if not getattr(subject.tokenizer, "chat_template", None):
        return xr.Dataset(attrs={"no_chat": 1})
    drawn = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    right = []
    for how in ARRANGEMENTS:
        arranged = replace(subject, entry=replace(subject.entry, arrangement=how))
        right.append(
            find_likeliest_tokens(arranged, drawn)[0]
            == find_answer_tokens(arranged, drawn, [t.answer for t in drawn])
        )
    halves = Halves.deal(list_scenes(drawn), rng)
    return xr.Dataset(
        {
            "right": (("how", "trial"), np.array(right)),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
        },
        {"how": list(ARRANGEMENTS)},
    )
