"""What is exchanged, and what is said, straight from what was captured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.experiments.editing import (
    capture_all,
    find_answers,
    find_last_token,
    read_answers,
)
from harness.experiments.visual_symbols.keys import ALPHA, EDITS, _KeyEditor
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.questions import draw_color_questions, side_of


def test_answers_read_off_captured_states_are_those_of_a_run(subject):
    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], 20, np.random.default_rng(0))
    states = capture_all(subject, trials, "residual", find_last_token)
    assert (
        read_answers(subject, states[-1, :, -1]).tolist()
        == find_answers(subject, trials)[0].tolist()
    )


def test_each_half_of_the_image_gets_the_mean_keys_of_the_other_half(subject):
    rng = np.random.default_rng(0)
    drawn = draw_color_questions(subject.grids[2], HIGH_ENTROPY[3], 12, rng)
    sides = [side_of(t.scene, t.target) for t in drawn]
    # One trial for each side, so that every resample is that trial.
    both = [drawn[sides.index(0)], drawn[sides.index(1)]]
    places = np.tile(np.arange(subject.key_heads), (subject.layers, 1))
    keys = _KeyEditor(subject, [(1, 0)], both, rng, places, scenes=2)
    batch = subject.encode(both)
    tokens = batch.image_tokens
    read = capture_all(subject, both, "key", lambda b: b.image_tokens)[1]
    half = EDITS["half the image, token by token"]
    edits = keys.make_edits(half, batch, both, np.array([0, 1]))
    assert [e.layer for e in edits] == [1, 1]
    for side, edit in enumerate(edits):
        own, other = keys._find_half(side), keys._find_half(1 - side)
        wanted = ALPHA * (read[1 - side][other] - read[side][own])
        assert torch.equal(edit.tokens.cpu(), tokens[:, own].cpu())
        for row in edit.values:
            assert row == pytest.approx(wanted, abs=1e-4)
