"""Weights as they are served in eight or four bits: what is rounded, by how much, and what is not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.judging.claim import SERVED, above, find_of_subject
from harness.judging.published import load as load_published
from harness.runs.baselines import BadOption
from harness.runs.options import Options
from harness.runs.run import Run
from harness.runs.selection import apply_asked, select
from harness.runs.subject_holder import tell_rounding
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import load
from harness.subjects.quantised import (
    BLOCK,
    LEVELS,
    ROUNDING,
    STEPS,
    list_rounded,
    round_to_int8,
    round_to_nf4,
)
from harness.subjects.registry import Quantised, UnknownSubject, find, read_registry

REGISTRY = read_registry()
HALF_GAP = max(b - a for a, b in pairwise(LEVELS)) / 2
EPS = float(np.finfo(np.float32).eps)

matrices = st.tuples(st.integers(1, 6), st.integers(1, 150)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-100, 100, width=16))
)


@given(matrices)
def test_int8_moves_no_weight_by_more_than_half_a_step_of_its_row(drawn):
    weight = torch.from_numpy(drawn)
    rounded, size = round_to_int8(weight), weight.abs().amax(1, keepdim=True)
    assert ((rounded - weight).abs() <= size / STEPS * (0.5 + 1e-3)).all()
    steps = rounded / (size / STEPS).where(size > 0, 1)
    assert (steps - steps.round()).abs().max() < 1e-3
    # The largest weight of a row stays, so that rounding again changes nothing but last digits.
    assert torch.allclose(round_to_int8(rounded), rounded, rtol=4 * EPS, atol=0)
    assert torch.allclose(rounded.abs().amax(1, keepdim=True), size, rtol=4 * EPS, atol=0)


@given(matrices)
def test_nf4_gives_every_weight_the_nearest_level_of_its_block(drawn):
    weight = torch.from_numpy(drawn)
    rounded = round_to_nf4(weight)
    assert rounded.shape == weight.shape
    flat, found = weight.flatten().double().numpy(), rounded.flatten().double().numpy()
    # Written out block by block, in another way than the code has it.
    for start in range(0, len(flat), BLOCK):
        block, of_block = flat[start : start + BLOCK], found[start : start + BLOCK]
        size = np.abs(block).max()
        distances = np.abs(block[:, None] - size * np.array(LEVELS))
        nearest = distances.min(1)
        assert np.abs(of_block - block) == pytest.approx(nearest, abs=4 * EPS * size)
        assert (np.abs(of_block - block) <= HALF_GAP * size * (1 + 1e-5)).all()
    assert torch.equal(round_to_nf4(rounded), rounded)


@pytest.mark.parametrize("rest", [1, 17, 63])
def test_a_block_that_is_cut_short_has_a_size_of_its_own(rest):
    weight = torch.ones(BLOCK + rest)
    weight[BLOCK:] = 1e-3
    assert torch.equal(round_to_nf4(weight), weight), "by the size of all weights these would be 0"
    assert round_to_nf4(weight[None]).shape == (1, BLOCK + rest)


def test_the_levels_of_nf4_are_sorted_and_hold_zero_and_both_ends():
    assert len(LEVELS) == 16
    assert list(LEVELS) == sorted(LEVELS)
    assert (LEVELS[0], LEVELS[7], LEVELS[-1]) == (-1.0, 0.0, 1.0)


@pytest.mark.parametrize("how", ROUNDING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rounding_keeps_zeros_shape_and_dtype(how, dtype):
    weight = torch.zeros(3, 70, dtype=dtype)
    weight[1, 5] = 2.0
    rounded = ROUNDING[how](weight)
    assert rounded.dtype is dtype
    assert torch.equal(rounded, weight)


@pytest.fixture(scope="module")
def whole():
    return load(REGISTRY["planted"])


@pytest.mark.parametrize("how", ROUNDING)
def test_all_linear_layers_are_rounded_but_the_one_that_gives_logits(whole, how):
    made = load(find(f"planted:{how}", REGISTRY))
    assert (made.name, made.entry.dtype) == (f"planted:{how}", "float32")
    before, after = whole.model.state_dict(), made.model.state_dict()
    rounded = {f"{path}.weight" for path, _ in list_rounded(whole.model)}
    assert any("vision" in key for key in rounded)
    assert any("o_proj" in key for key in rounded)
    for key, value in before.items():
        wanted = ROUNDING[how](value) if key in rounded else value
        assert torch.equal(after[key], wanted), key
    assert any(not torch.equal(after[key], before[key]) for key in rounded)


def test_a_variant_is_changed_first_and_rounded_then():
    half, made = (
        load(find(n, REGISTRY)) for n in ("planted:features=0.5", "planted:features=0.5:nf4")
    )
    for (key, one), other in zip(
        list_rounded(half.model), (m for _, m in list_rounded(made.model)), strict=True
    ):
        assert torch.equal(round_to_nf4(one.weight), other.weight), key


def test_every_precision_has_a_name_and_a_fingerprint_of_its_own():
    names = ["planted", *(f"planted:{q}" for q in get_args(Quantised)), "planted:heads:int8"]
    entries = [find(name, REGISTRY) for name in names]
    assert [entry.name for entry in entries] == names
    assert len({take_fingerprint(entry) for entry in entries}) == len(names)
    assert entries[1].dtype == "bfloat16"
    assert "as it was asked for" in tell_rounding(entries[1], "cpu")


def test_a_folder_can_be_named_in_another_precision(checkpoints):
    folder = checkpoints["tiny-llava"]
    plain, made = find(str(folder), REGISTRY), find(f"{folder}:nf4", REGISTRY)
    assert made == replace(plain, name=f"{plain.name}:nf4", quantised="nf4")
    assert load(made).fingerprint != load(plain).fingerprint


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("planted:int8:nf4", "planted:int8 is served in int8"),
        ("planted:int4", "planted:int8, planted:nf4"),
        ("nowhere:int8", "unknown subject 'nowhere'"),
    ],
)
def test_what_cannot_be_served_so_is_refused_by_name(name, told):
    with pytest.raises(UnknownSubject, match=told):
        find(name, REGISTRY)


def test_a_dtype_that_the_name_says_otherwise_is_refused(checkpoints):
    folder = checkpoints["tiny-llava"]
    half, rounded = (find(f"{folder}:{q}", REGISTRY) for q in ("bfloat16", "int8"))
    with pytest.raises(BadOption, match="--dtype float32: .*:bfloat16 is served in bfloat16"):
        apply_asked(half, "float32", None)
    assert apply_asked(rounded, "bfloat16", None).dtype == "bfloat16"


def test_a_server_that_rounds_nothing_is_refused():
    with pytest.raises(BadOption, match="not rounded there"):
        select(Options(subjects=("planted:int8",), remote="local"))


def test_a_control_in_another_precision_need_not_give_what_the_control_must(tmp_path):
    run = Run(Options(subjects=("planted:nf4", "planted:twin"), records=tmp_path / "r"), print)
    assert [run.is_exact(entry) for entry in run.entries] == [False, True]


def test_a_model_is_held_to_its_own_thresholds_in_every_precision():
    assert set(SERVED) == {f":{q}" for q in get_args(Quantised)}
    limit = above(0.5, unit="r", origin="stated in the paper", exceptions={"llava-1.5-7b": 0.3})
    assert [limit.for_subject(f"llava-1.5-7b{end}") for end in ("", *SERVED)] == [0.3] * 4
    assert limit.for_subject("other:int8") == 0.5
    assert find_of_subject({"a": 1}, "a:shuffled", 0) == 0, "another subject"
    paper = load_published()
    for stage in ("id_retrieval", "feature_retrieval"):
        assert (
            paper.heads("qwen2-vl-7b:nf4", stage) == paper.heads("qwen2-vl-7b", stage) is not None
        )
