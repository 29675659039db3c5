"""Exact mode: how inputs are split and multiplied, held against float64."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from harness.subjects import exact
from harness.subjects.exact import ExactLinear, multiply, split

HALVES = (torch.bfloat16, torch.float16)
LARGEST = {torch.bfloat16: 3.38e38, torch.float16: 65280.0}
SMALLEST = {torch.bfloat16: 2.0**-110, torch.float16: 0.5}
"""Between these sizes three parts give back a number as it was."""

LOST = {torch.bfloat16: 2.0**-134, torch.float16: 2.0**-25}
"""The most that three parts lack of a smaller number."""

LACKING = {torch.bfloat16: 2.0**-17, torch.float16: 2.0**-23}
"""The share of a number that two parts lack at most."""

halves = st.sampled_from(HALVES)
numbers = arrays(np.float32, st.integers(1, 30), elements=st.floats(width=32, allow_nan=False))


@given(numbers, halves)
def test_three_parts_are_the_number(drawn, dtype):
    drawn = drawn[np.abs(drawn) <= LARGEST[dtype]]
    values = torch.from_numpy(drawn)
    parts = split(values, dtype, 3)
    assert (parts.dtype, parts.shape) == (dtype, (3, *values.shape))
    off = (parts.double().sum(0) - values.double()).abs()
    assert (off[values.abs() >= SMALLEST[dtype]] == 0).all()
    assert (off <= LOST[dtype]).all()


@given(numbers, halves)
def test_two_parts_lack_only_last_digits(drawn, dtype):
    drawn = drawn[np.abs(drawn) <= LARGEST[dtype]]
    values = torch.from_numpy(drawn).double()
    off = (split(values.float(), dtype, 2).double().sum(0) - values).abs()
    assert (off <= LACKING[dtype] * values.abs() + LOST[dtype]).all()


@given(st.integers(-126, 127))
def test_powers_of_two_are_exact(power):
    assert float(exact._raise_two(torch.tensor([power]))) == 2.0**power


@st.composite
def products(draw):
    """Rows of any size, among them some far larger or smaller than others, and weights as in a layer."""
    dtype, seed = draw(halves), draw(st.integers(0, 2**16))
    rows, wide, out = (draw(st.integers(1, most)) for most in (9, 70, 9))
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, wide, generator=generator)
    weight = (torch.randn(out, wide, generator=generator) * 0.02).to(dtype)
    sizes = [2.0 ** draw(st.integers(-90, 90)) for _ in range(rows)]
    values *= torch.tensor(sizes)[:, None]
    # As in language models, where a few features are a thousand times larger than others.
    values[:, :: draw(st.integers(2, 20))] *= draw(st.sampled_from([1.0, 1000.0, 1e-3]))
    return values, weight


def measure_error(found, values, weight):
    """How far a product is from that in float64, by what its terms add up to in size, the worst of all."""
    truth = values.double() @ weight.double().mT
    size = values.double().abs() @ weight.double().abs().mT
    return float(((found.double() - truth).abs() / size.clamp(min=1e-300)).max())


@given(products())
def test_a_product_of_rows_of_any_size_is_right_to_the_last_digits_of_float32(drawn):
    values, weight = drawn
    # Each of the additions rounds by half a digit at most, in whatever order; three more add the parts.
    rounding = (weight.shape[1] + 3) * 2.0**-24
    assert measure_error(multiply(values, weight, 3), values, weight) <= rounding
    lacking = LACKING[weight.dtype]
    assert measure_error(multiply(values, weight, 2), values, weight) <= rounding + lacking


@pytest.mark.parametrize("dtype", HALVES, ids=["bfloat16", "float16"])
@pytest.mark.parametrize("wide", [32, 1024])
def test_three_parts_are_more_exact_than_float32(dtype, wide):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(64, wide, generator=generator)
    weight = (torch.randn(64, wide, generator=generator) * 0.02).to(dtype)
    truth = values.double() @ weight.double().mT

    def error(found):
        return float((found - truth).square().mean().sqrt())

    usual = error(values @ weight.float().mT)
    assert error(multiply(values, weight, 3)) < usual
    assert error(multiply(values, weight, 2)) < (30 if dtype is torch.bfloat16 else 1.2) * usual
    assert error(values.to(dtype) @ weight.mT) > 1000 * usual


@pytest.mark.parametrize("dtype", HALVES, ids=["bfloat16", "float16"])
@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan, 3.4e38])
def test_what_is_not_finite_never_becomes_a_number(dtype, bad):
    values = torch.ones(3, 8)
    values[1, 5] = bad
    weight = torch.ones(4, 8, dtype=dtype)
    found = multiply(values, weight, 3)
    assert (found[[0, 2]] == 8).all()
    if dtype is torch.float16 and abs(bad) < torch.inf:
        # Brought to a size at which it can be split.
        assert found[1] == pytest.approx([bad] * 4)
    else:
        assert not found[1].isfinite().any()


@pytest.mark.parametrize("size", [1, 100, 2**12])
def test_blocks_of_rows_give_what_all_rows_give(size, monkeypatch):
    values = torch.randn(37, 24, generator=torch.Generator().manual_seed(1))
    weight = torch.randn(10, 24, generator=torch.Generator().manual_seed(2)).half()
    whole = multiply(values, weight, 3)
    monkeypatch.setattr(exact, "STACKED", size)
    assert torch.allclose(multiply(values, weight, 3), whole, rtol=0, atol=2e-6)


@pytest.mark.parametrize("splits", [False, True])
@pytest.mark.parametrize("dtype", HALVES, ids=["bfloat16", "float16"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_gives_float32_for_float32_whatever_its_input_is_shaped_like(
    splits, dtype, bias, monkeypatch
):
    monkeypatch.setattr(exact, "SPLIT_ON", {"cpu"} if splits else set())
    plain = nn.Linear(12, 5, bias=bias)
    plain.weight.data = plain.weight.data.to(dtype).float()
    layer = deepcopy(plain)
    layer.weight.data = layer.weight.data.to(dtype)
    layer.__class__, layer.parts = ExactLinear, 3
    for shape in ((12,), (4, 12), (2, 3, 12), (2, 0, 12)):
        given = torch.randn(shape)
        with torch.no_grad():
            found, expected = layer(given), plain(given)
        assert (found.dtype, found.shape) == (torch.float32, expected.shape)
        assert torch.allclose(found, expected, atol=1e-6)
        assert splits or torch.equal(found, expected)


@given(halves)
def test_a_copy_in_half_precision_gives_half_precision_and_one_in_float64_float64(dtype):
    plain = nn.Linear(12, 5).to(dtype)
    given = torch.randn(4, 12)
    layer = deepcopy(plain)
    layer.__class__, layer.parts = ExactLinear, 3
    with torch.no_grad():
        found = layer(given.to(dtype))
        assert found.dtype is dtype
        assert torch.allclose(found.float(), plain.float()(given.to(dtype).float()), atol=0.02)
        assert torch.equal(layer.double()(given.double()), plain.double()(given.double()))
