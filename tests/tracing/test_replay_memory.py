"""Replays take what memory there is, fewer rows at a time where it is scarce, and share what can be shared."""

from __future__ import annotations

import pytest
import torch
from hooked import unequal
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from harness.tracing.attention import NAME, attend
from harness.tracing.clean import CleanRun
from harness.tracing.edit import Edit
from harness.tracing.memory import OutOfMemory
from harness.tracing.replay import replay

CLOSE = 1e-5


@pytest.mark.parametrize("fits", [1, 3, 10])
def test_rows_are_halved_until_they_fit(subject, monkeypatch, fits):
    batch = unequal(subject)
    last = torch.full((len(batch), 1), batch.last)
    variants = [[Edit("head", layer, last, 0.0)] for layer in range(4)]
    whole = replay(subject, batch, variants)
    tried = []
    advance = CleanRun.advance

    def scarce(self, index, hidden, edits):
        tried.append(hidden.shape[0] * hidden.shape[1])
        if tried[-1] > fits:
            torch.empty(10**16)
        return advance(self, index, hidden, edits)

    monkeypatch.setattr(CleanRun, "advance", scarce)
    assert replay(subject, batch, variants) == pytest.approx(whole.numpy(), abs=CLOSE)
    assert max(tried) > fits


def test_one_trial_that_does_not_fit_is_an_error_that_says_so(subject, monkeypatch):
    def full(self, index, hidden, edits):
        raise torch.OutOfMemoryError("tried to allocate 7 GiB")

    monkeypatch.setattr(CleanRun, "advance", full)
    batch = unequal(subject, 2, 0)
    last = torch.full((len(batch), 1), batch.last)
    with pytest.raises(OutOfMemory, match=r"one trial of \d+ tokens does not fit.*7 GiB"):
        replay(subject, batch, [[Edit("head", 1, last, 0.0)]])


def test_keys_of_the_clean_run_are_shared_not_copied(subject, monkeypatch):
    batch = unequal(subject, 2, 0)
    last = torch.full((len(batch), 1), batch.last)
    seen = set()

    def watched(module, query, key, value, attention_mask, **named):
        shared = attention_mask
        assert shared.keys.shape[0] == len(batch)
        seen.add((module.layer_idx, shared.keys.data_ptr()))
        return attend(module, query, key, value, shared, **named)

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, NAME, watched)
    variants = [[Edit("head", layer, last, 0.0, (h,))] for layer in range(8) for h in range(8)]
    replay(subject, batch, variants)
    assert len(seen) == subject.layers


def test_another_error_is_not_taken_for_a_lack_of_memory(subject, monkeypatch):
    monkeypatch.setattr(CleanRun, "advance", lambda *given: torch.ones(2) @ torch.ones(3))
    batch = unequal(subject, 2, 0)
    last = torch.full((len(batch), 1), batch.last)
    with pytest.raises(RuntimeError, match="size"):
        replay(subject, batch, [[Edit("head", 1, last, 0.0)]])
