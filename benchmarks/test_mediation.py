"""Mediation of every head: one whole run per head and layer against replay from a kept prefix.

Run with `tox run -e bench`; the figures are ratios within one run, on whatever machine it is.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.stimuli.contrast import contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.loading import load
from harness.subjects.registry import read_registry
from harness.tracing.capture import capture, last_logits
from harness.tracing.edit import Edit, edited_logits
from harness.tracing.replay import patch_each_head
from harness.workers import threads_per_process

TRIALS = 8


def one_run_per_head(subject, batch, tokens, values, read):
    rows = torch.arange(len(batch))[:, None]
    found = torch.empty(subject.layers, subject.heads, *read.shape)
    for layer in range(subject.layers):
        for head in range(subject.heads):
            heads = torch.full_like(tokens, head)
            edit = Edit("head", layer, rows, tokens, values[layer, :, :, head], heads)
            found[layer, head] = edited_logits(subject, batch, [edit]).gather(1, read)
    return found


@pytest.fixture(scope="module", params=["tiny-llava", "tiny-qwen2-vl"])
def case(request):
    torch.set_num_threads(threads_per_process())
    subject = load(read_registry()[request.param])
    pairs = contrasts(
        "id_selection", subject.grids[2], HIGH_ENTROPY[3], TRIALS, np.random.default_rng(0)
    )
    clean = subject.encode([p.clean for p in pairs])
    other = subject.encode([p.counterfactual for p in pairs])
    tokens = torch.full((TRIALS, 1), clean.last)
    values = capture(subject, other, "head", tokens)
    read = torch.tensor(
        [
            [subject.answer_id(p.clean.prompt, w) for w in (p.patched_answer, p.clean_answer)]
            for p in pairs
        ]
    )
    last_logits(subject, clean)
    return subject, clean, tokens, values, read


@pytest.mark.parametrize("way", [one_run_per_head, patch_each_head], ids=lambda f: f.__name__)
def test_every_head_once(benchmark, case, way):
    benchmark.group = f"{case[0].name}, {TRIALS} trials, all heads, last token"
    found = benchmark.pedantic(way, args=case, rounds=3, warmup_rounds=1)
    assert torch.allclose(found, one_run_per_head(*case), atol=1e-4)
