"""Simulated heads: where they are said to lie, and the top of them as the claims list it."""

from __future__ import annotations

import numpy as np
import pytest

from harness.calibration.depths import KINDS, LEAST, TOP, add_noise, draw_heads, sum_top_heads
from harness.measures.mediation import find_top_heads
from harness.readings.visual_symbols import mediation


def test_the_top_heads_are_those_that_the_claims_list():
    assert TOP == mediation.TOP
    rng = np.random.default_rng(0)
    means = add_noise(draw_heads("over 2 to 3 layers", 8, 8, 1, rng)[0], rng)[:50]
    counts, sums = sum_top_heads(means)
    for scores, count, total in zip(means, counts, sums, strict=True):
        listed = find_top_heads(scores, TOP, LEAST)
        assert count.tolist() == np.bincount([layer for layer, _ in listed], minlength=8).tolist()
        expected = np.bincount([h[0] for h in listed], [scores[h] for h in listed], minlength=8)
        np.testing.assert_allclose(total, expected)


@pytest.mark.parametrize("kind", [k for k, stages in KINDS.items() if not stages.strays])
@pytest.mark.parametrize("gap", [-1, 1])
def test_simulated_heads_lie_in_the_layers_that_they_are_said_to_lie_in(kind, gap):
    rng = np.random.default_rng(1)
    for _ in range(20):
        spans = [np.flatnonzero(scores.sum(1)) for scores in draw_heads(kind, 8, 8, gap, rng)]
        for span in spans:
            assert span.tolist() == list(range(span[0], span[-1] + 1))
            assert KINDS[kind].widths[0] <= len(span) <= KINDS[kind].widths[1]
        first, second = spans[::gap]
        if KINDS[kind].shared:
            assert first.tolist() == second.tolist()
        else:
            assert second[0] - first[-1] == 1
