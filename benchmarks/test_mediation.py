"""Mediation scores of every head: a trace per head, a hooked run per head, a replay.

Run with `tox run -e bench`; the figures are ratios within one run, on whatever machine it is. The whole
comparison, with all trials and conditions, is `python benchmarks/mediation.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ways import OneByOne, drawn, replayed

from harness.machine.placement import count_threads
from harness.stimuli.contrast import CONDITIONS
from harness.subjects.loading import load
from harness.subjects.registry import read_registry

TRIALS = 8


@pytest.fixture(scope="module", params=["tiny-llava", "tiny-qwen2-vl"])
def subject(request):
    torch.set_num_threads(count_threads())
    return load(read_registry()[request.param])


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("way", ["traced", "hooked", "replayed"])
def test_every_head_once(benchmark, subject, condition, way):
    benchmark.group = f"{subject.name}, {condition}, {TRIALS} trials, all heads"
    pairs = drawn(subject, condition, TRIALS, seed=0)
    heads = list(np.ndindex(subject.layers, subject.heads))
    expected = replayed(subject, pairs)
    if way == "replayed":
        benchmark.pedantic(replayed, args=(subject, pairs), rounds=5, warmup_rounds=1)
        return
    one = OneByOne(subject, pairs)
    found = benchmark.pedantic(getattr(one, way), args=(heads,), rounds=1, warmup_rounds=0)
    assert np.abs(found.reshape(expected.shape) - expected).max() <= 1e-5
