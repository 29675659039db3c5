"""A subject spread over devices by accelerate: modules move what they are given, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.experiments.editing import capture_all, find_last_token
from harness.experiments.patching import score_heads
from harness.stimuli.contrast import CONDITIONS, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.tracing.generate import generate
from harness.tracing.selfcheck import selfcheck

accelerate = pytest.importorskip("accelerate")

EMBEDDED = [entry for entry in read_registry().values() if entry.kind == "embedded"]


@pytest.mark.parametrize("entry", EMBEDDED, ids=lambda e: e.name)
def test_a_subject_that_is_spread_measures_the_same(entry):
    check_spread(entry)


def test_a_subject_in_exact_mode_that_is_spread_measures_the_same(half_folders, monkeypatch):
    monkeypatch.setattr("harness.subjects.exact.SPLIT_ON", {"cpu"})
    entry = find(str(half_folders["qwen2_vl"]), read_registry())
    check_spread(replace(entry, dtype="exact", arrangement="plain"))


def check_spread(entry):
    whole, spread = load(entry), load(entry, device="auto")
    assert not any(p.requires_grad for p in spread.model.parameters())
    # Each layer apart, as if on a GPU of its own: the hooks are the same, the devices need not differ.
    parts = {
        spread.anatomy.layers.rpartition(".")[0] + "." + name: "cpu"
        for name in ("embed_tokens", "norm")
    }
    parts |= {f"{spread.anatomy.layers}.{i}": "cpu" for i in range(spread.layers)}
    for name, _ in spread.model.named_parameters():
        if not name.startswith(tuple(parts)):
            parts[name.rpartition(".")[0] or name] = "cpu"
    accelerate.dispatch_model(spread.model, parts, main_device="cpu", force_hooks=True)
    assert sum(hasattr(m, "_hf_hook") for m in spread.model.modules()) > spread.layers
    selfcheck(spread)
    for condition in CONDITIONS:
        pairs = draw_contrasts(
            condition, whole.grids[2], HIGH_ENTROPY[3], 2, np.random.default_rng(0)
        )
        assert np.array_equal(score_heads(whole, pairs), score_heads(spread, pairs))
    trials = [p.clean for p in pairs]
    reads = [capture_all(s, trials, "residual", find_last_token) for s in (whole, spread)]
    assert torch.equal(*reads)
    said = [generate(s, s.encode(trials), 2) for s in (whole, spread)]
    assert said[0] == said[1]
