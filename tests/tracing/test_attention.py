"""Variants that stand side by side get the attention that each would get alone."""

from __future__ import annotations

import pytest
import torch

from harness.tracing.attention import Scratch, Shared, attend


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("scaling", [None, 0.7])
def test_attention_of_variants_is_that_of_each_alone(softcap, scaling):
    rows, groups, times, variants, before, own, width = 2, 2, 3, 4, 5, 2, 8
    draw = torch.Generator().manual_seed(0)
    keys, values = torch.randn(2, rows, groups, before + own, width, generator=draw)
    query = torch.randn(rows, groups * times, variants * own, width, generator=draw)
    key, value = torch.randn(2, rows, groups, variants * own, width, generator=draw)
    bias = torch.zeros(rows, 1, own, before + own)
    bias[0, :, :, :2] = bias[:, :, 0, -1] = torch.finfo(torch.float32).min
    shared = Shared(keys, values, bias, variants, Scratch())
    ours, _ = attend(None, query, key, value, shared, scaling=scaling, softcap=softcap)
    for v in range(variants):
        part = slice(v * own, (v + 1) * own)
        k = torch.cat([keys[:, :, :before], key[:, :, part]], 2).repeat_interleave(times, 1)
        x = torch.cat([values[:, :, :before], value[:, :, part]], 2).repeat_interleave(times, 1)
        scores = query[:, :, part] @ k.mT * (scaling or width**-0.5)
        if softcap:
            scores = softcap * torch.tanh(scores / softcap)
        theirs = torch.softmax(scores + bias, -1) @ x
        assert ours[:, part].transpose(1, 2) == pytest.approx(theirs.numpy(), abs=1e-6)
