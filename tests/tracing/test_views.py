"""A captured activation does not change when the model changes its own in place."""

from __future__ import annotations

import numpy as np
import torch

from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.tracing.capture import capture
from harness.tracing.site import find_layers


def test_a_change_in_place_after_the_capture_does_not_show(subject):
    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 2, np.random.default_rng(0))
    batch = subject.encode(trials)
    last = torch.full((2, 1), batch.last)
    clean = capture(subject, batch, "residual", last)

    def spoil(module, arguments):
        arguments[0].add_(1.0)

    handle = find_layers(subject, subject.model)[3].register_forward_pre_hook(spoil)
    try:
        spoilt = capture(subject, batch, "residual", last)
    finally:
        handle.remove()
    assert torch.equal(spoilt[:3], clean[:3])
    assert not torch.equal(spoilt[3], clean[3])
