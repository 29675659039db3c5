"""How many heads are edited: the paper's own number where it was used for every model, a share elsewhere."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiments.sweeps import SMALLEST, scale_head_count, scale_head_share
from harness.experiments.visual_symbols import counting, listing

PAPER = {
    "qwen2.5-vl-3b": (36, 16),
    "qwen2-vl-7b": (28, 28),
    "llava-1.5-7b": (32, 32),
    "llava-1.5-13b": (40, 40),
    "qwen2.5-vl-32b": (64, 40),
}


def sized(layers, heads):
    return SimpleNamespace(layers=layers, heads=heads)


@pytest.mark.parametrize("size", PAPER.values(), ids=PAPER)
def test_the_models_of_the_paper_get_its_own_numbers_of_heads(size):
    subject = sized(*size)
    assert [scale_head_count(subject, k, listing.OF) for k in listing.PUBLISHED_K] == [50, 100, 200]


def test_the_smallest_model_of_the_paper_is_not_small():
    assert min(layers * heads for layers, heads in PAPER.values()) == SMALLEST


@pytest.mark.parametrize(("size", "expected"), [((64, 40), 250), ((28, 28), 77), ((8, 8), 6)])
def test_counting_takes_a_tenth_of_all_heads_of_any_model(size, expected):
    assert scale_head_share(sized(*size), counting.JUDGED, counting.OF) == expected


@given(st.integers(1, 23), st.integers(1, 24), st.sampled_from(listing.PUBLISHED_K))
def test_small_subjects_get_the_same_share_and_at_least_one(layers, heads, k):
    found = scale_head_count(sized(layers, heads), k, listing.OF)
    assert 1 <= found <= max(1, layers * heads)
    assert abs(found - layers * heads * k / listing.OF) <= 1
