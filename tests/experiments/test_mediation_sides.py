"""Mediation runs each side of a contrast once, and finds what runs of their own for each purpose find."""

from __future__ import annotations

import numpy as np
import pytest

from harness.experiments.patching import encode_sides, find_patched_tokens, score_heads
from harness.experiments.visual_symbols import mediation
from harness.measuring.batches import divide_batches
from harness.measuring.experiment import Request
from harness.stimuli.contrast import CONDITIONS, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.loading import load
from harness.subjects.registry import read_registry
from harness.tracing.capture import capture, read_last_logits

TRIALS = 3


def drawn(subject, rng, count=mediation.ROWS):
    return [
        draw_contrasts(condition, subject.grids[2], HIGH_ENTROPY[3], count, rng)
        for condition in CONDITIONS
    ]


def test_scores_and_what_heads_write_are_those_of_runs_of_their_own(subject):
    rng = np.random.default_rng(4)
    found = mediation.measure_ungated(Request(subject, TRIALS, rng))
    for condition, pairs in zip(CONDITIONS, drawn(subject, np.random.default_rng(4)), strict=True):
        chosen = pairs[:TRIALS]
        ours = found.sel(condition=condition)
        assert ours.score.values == pytest.approx(score_heads(subject, chosen), abs=1e-5)
        clean, _ = encode_sides(subject, chosen)
        written = capture(subject, clean, "written", find_patched_tokens(clean, chosen))
        means = written.double().mean(2).mean(1).numpy()
        assert ours.written.values == pytest.approx(means, rel=1e-4)
        assert ours.scene.values.tolist() == [p.clean.scene.key for p in chosen]


@pytest.mark.parametrize("name", ["planted", "tiny-llava"])
def test_both_sides_must_be_answered_right_in_batches_of_any_size(name):
    subject = load(read_registry()[name])
    for pairs in drawn(subject, np.random.default_rng(0), 4):
        right = np.ones(len(pairs), bool)
        for side in ("clean", "counterfactual"):
            trials = [getattr(p, side) for p in pairs]
            best = read_last_logits(subject, subject.encode(trials)).argmax(-1).tolist()
            right &= [subject.read_word(b) == t.answer for b, t in zip(best, trials, strict=True)]
        whole = mediation._run_sides(subject, pairs)
        with divide_batches(8):
            halves = mediation._run_sides(subject, pairs)
        for sides in (whole, halves):
            assert sides.right.tolist() == right.tolist()
        every = np.arange(len(pairs))
        assert halves.sum_written(every) == pytest.approx(whole.sum_written(every), rel=1e-4)
        assert whole.values.shape == halves.values.shape
        assert halves.values.numpy() == pytest.approx(whole.values.numpy(), abs=1e-4)
