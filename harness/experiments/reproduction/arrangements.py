"""Accuracy in every arrangement of image and prompt (protocol, section 9, number 7)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from harness.experiments.editing import ids_of, said
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.sweeps import ARRANGEMENTS
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials


def measure(request: Request) -> xr.Dataset:
    """Accuracy in every arrangement (protocol, section 9, number 7): `right` [how, trial], `part` [trial]."""
    subject, trials, rng = request.subject, request.trials, request.rng
    if not getattr(subject.tokenizer, "chat_template", None):
        return xr.Dataset(attrs={"no_chat": 1})
    drawn = balanced_trials(subject.grids[2], HIGH_ENTROPY[3], trials, rng)
    right = []
    for how in ARRANGEMENTS:
        arranged = replace(subject, entry=replace(subject.entry, arrangement=how))
        right.append(said(arranged, drawn)[0] == ids_of(arranged, drawn, [t.answer for t in drawn]))
    halves = Halves.deal(list_scenes(drawn), rng)
    return xr.Dataset(
        {
            "right": (("how", "trial"), np.array(right)),
            "scene": (("trial",), halves.scenes),
            "part": (("trial",), halves.names),
        },
        {"how": list(ARRANGEMENTS)},
    )
