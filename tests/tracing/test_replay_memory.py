"""Replays run as many rows at once as fit into memory, and share the clean run's keys and values."""

from __future__ import annotations

import weakref

import pytest
import torch
from hooked import unequal
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from harness.tracing import footprint as memory
from harness.tracing import replay as replaying
from harness.tracing.attention import NAME, Shared, attend
from harness.tracing.clean import CleanRun, run_clean
from harness.tracing.edit import Edit
from harness.tracing.footprint import (
    Footprint,
    OutOfMemory,
    count_rows_that_fit,
    count_trials_that_fit,
)
from harness.tracing.replay import replay

CLOSE = 1e-5


@pytest.mark.parametrize("fits", [1, 3, 10])
def test_rows_are_halved_until_they_fit(subject, monkeypatch, fits):
    batch = unequal(subject)
    last = torch.full((len(batch), 1), batch.last)
    variants = [[Edit("head", layer, last, 0.0)] for layer in range(4)]
    whole = replay(subject, batch, variants)
    tried, alive = [], weakref.WeakSet()
    advance = CleanRun.advance

    def scarce(self, index, hidden, edits, later=()):
        alive.add(self)
        assert len(alive) == 1, "a clean run is kept while another one is tried"
        tried.append(hidden.shape[0] * hidden.shape[1])
        if tried[-1] > fits:
            torch.empty(10**16)
        return advance(self, index, hidden, edits, later)

    monkeypatch.setattr(CleanRun, "advance", scarce)
    assert replay(subject, batch, variants) == pytest.approx(whole.numpy(), abs=CLOSE)
    # Rows are halved at each failure, for all later blocks too: 20 are tried, then at most 10, 5, 2 and 1.
    failures = [rows for rows in tried if rows > fits]
    assert len(failures) <= 5
    assert failures == sorted(failures, reverse=True)


def test_one_trial_that_does_not_fit_is_an_error_that_says_so(subject, monkeypatch):
    def full(self, index, hidden, edits, later=()):
        raise torch.OutOfMemoryError("tried to allocate 7 GiB")

    monkeypatch.setattr(CleanRun, "advance", full)
    batch = unequal(subject, 2, 0)
    last = torch.full((len(batch), 1), batch.last)
    with pytest.raises(OutOfMemory, match=r"one trial of \d+ tokens does not fit.*7 GiB"):
        replay(subject, batch, [[Edit("head", 1, last, 0.0)]])


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes",
    ],
)
def test_a_clean_run_that_does_not_fit_is_tried_with_fewer_trials(subject, monkeypatch, said):
    batch = unequal(subject)
    last = torch.full((len(batch), 1), batch.last)
    whole = replay(subject, batch, [[Edit("head", 1, last, 0.0)]])

    def scarce(subject, batch, start):
        if len(batch) > 2:
            raise RuntimeError(said)
        return run_clean(subject, batch, start)

    monkeypatch.setattr(replaying, "run_clean", scarce)
    found = replay(subject, batch, [[Edit("head", 1, last, 0.0)]])
    assert found == pytest.approx(whole.numpy(), abs=CLOSE)


def test_rows_at_once_follow_from_free_memory(subject, monkeypatch):
    batch, cpu = unequal(subject), torch.device("cpu")
    footprint = Footprint.of(subject, batch, batch.last)
    assert count_rows_that_fit(footprint, cpu) == memory.CPU_LIMIT // footprint.row
    monkeypatch.setattr(memory, "_free_memory", lambda: 10 * footprint.row / memory.SHARE)
    assert count_rows_that_fit(footprint, cpu) in (9, 10)
    monkeypatch.setattr(memory, "_free_memory", lambda: 0.0)
    assert count_rows_that_fit(footprint, cpu) == count_trials_that_fit(footprint, cpu) == 1


def test_more_is_needed_for_more_tokens_and_for_the_whole_vocabulary(subject):
    batch = unequal(subject)
    one, half = (Footprint.of(subject, batch, s) for s in (batch.last, batch.last // 2))
    assert half.row > 10 * one.row
    words = len(subject.model.get_output_embeddings().weight)
    whole = Footprint.of(subject, batch, batch.last, whole_vocabulary=True)
    assert whole.row >= one.row + 4 * words


def test_the_footprint_of_image_tokens_that_look_ahead_is_from_the_first_of_them(of_family):
    batch = unequal(of_family, 2, 0)
    inside = int(batch.image_tokens[0, -1])
    ahead = of_family.anatomy.family == "gemma3"
    start = run_clean(of_family, batch, inside).start
    assert (start < inside) == ahead
    given = Footprint.of(of_family, batch, inside)
    assert given == Footprint.of(of_family, batch, start)


def test_rows_run_at_once_are_as_many_as_allowed(subject, monkeypatch):
    batch = unequal(subject)
    last = torch.full((len(batch), 1), batch.last)
    seen, advance = [], CleanRun.advance

    def counted(self, index, hidden, edits, later=()):
        seen.append(hidden.shape[0] * hidden.shape[1])
        return advance(self, index, hidden, edits, later)

    monkeypatch.setattr(CleanRun, "advance", counted)
    monkeypatch.setattr(replaying, "count_rows_that_fit", lambda footprint, device: 6)
    replay(subject, batch, [[Edit("head", 1, last, 0.0, (h,))] for h in range(3)])
    assert max(seen) == 6
    seen.clear()
    monkeypatch.setattr(replaying, "count_trials_that_fit", lambda footprint, device: 1)
    replay(subject, batch, [[Edit("head", 1, last, 0.0, (h,))] for h in range(3)])
    assert max(seen) == 3


def test_keys_of_the_clean_run_are_shared_not_copied(subject, monkeypatch):
    batch = unequal(subject, 2, 0)
    last = torch.full((len(batch), 1), batch.last)
    seen = set()

    def watched(module, query, key, value, attention_mask, **named):
        if isinstance(attention_mask, Shared):
            assert attention_mask.keys.shape[0] == len(batch)
            seen.add((module.layer_idx, attention_mask.keys.data_ptr()))
        return attend(module, query, key, value, attention_mask, **named)

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
