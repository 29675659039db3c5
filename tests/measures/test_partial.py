"""Partial correlation from three correlations, against the correlation of residuals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from similarities import seeds

from harness.measures.partial import correlate_partially


def of_residuals(x, y, z):
    design = np.column_stack([np.ones(len(z)), z])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    return np.corrcoef(*left)[0, 1]


def correlated(seed, n=40):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3))).T


def of_values(x, y, z):
    r = np.corrcoef([x, y, z])
    return correlate_partially(r[0, 1], r[0, 2], r[1, 2])


@given(seeds)
def test_partial_correlation_is_that_of_the_residuals_on_z(seed):
    x, y, z = correlated(seed)
    r = np.corrcoef([x, y, z])
    assume(np.abs(r[:2, 2]).max() < 0.999)
    assert of_values(x, y, z) == pytest.approx(of_residuals(x, y, z), abs=1e-10)


@given(seeds)
def test_exchanging_x_and_y_changes_nothing(seed):
    x, y, z = correlated(seed)
    assert of_values(x, y, z) == pytest.approx(of_values(y, x, z), abs=1e-12, nan_ok=True)


@given(st.floats(-1, 1))
def test_a_z_uncorrelated_with_both_changes_nothing(r):
    assert correlate_partially(r, 0, 0) == pytest.approx(r, abs=1e-12)


@given(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99))
def test_partial_correlation_is_zero_where_z_explains_all_that_is_shared(xz, yz):
    assert correlate_partially(xz * yz, xz, yz) == pytest.approx(0, abs=1e-12)


def test_partial_correlation_by_hand():
    assert correlate_partially(0.5, 0.6, 0.6) == pytest.approx((0.5 - 0.36) / 0.64)


@given(st.floats(-1, 1), st.sampled_from([-1.0, 1.0]), st.floats(-1, 1))
def test_where_z_determines_either_there_is_no_value(xy, certain, other):
    assert math.isnan(correlate_partially(xy, certain, other))
    assert math.isnan(correlate_partially(xy, other, certain))


@given(seeds, st.floats(0.1, 10), st.floats(-5, 5))
def test_where_z_determines_x_in_measured_data_there_is_no_value(seed, scale, shift):
    _, y, z = correlated(seed)
    assert math.isnan(of_values(scale * z + shift, y, z))


@pytest.mark.parametrize("place", range(3))
def test_nan_gives_nan_without_a_warning(place, recwarn):
    known = [0.3, 0.2, 0.1]
    known[place] = math.nan
    assert math.isnan(correlate_partially(*known))
    assert not recwarn.list


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_partial_correlation_lies_between_minus_one_and_one(xy, xz, yz):
    found = float(correlate_partially(xy, xz, yz))
    assert math.isnan(found) or -1 <= found <= 1


def test_shapes_broadcast():
    rng = np.random.default_rng(0)
    xy, xz, yz = rng.uniform(-0.9, 0.9, (5, 1, 3)), rng.uniform(-0.9, 0.9, (4, 1)), 0.3
    found = correlate_partially(xy, xz, yz)
    assert found.shape == (5, 4, 3)
    for i, j, k in np.ndindex(found.shape):
        assert found[i, j, k] == correlate_partially(xy[i, 0, k], xz[j, 0], yz)


def test_one_undefined_value_leaves_the_others_as_they_are():
    found = correlate_partially([0.5, 0.5], [0.6, 1.0], 0.6)
    assert np.isnan(found).tolist() == [False, True]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        correlate_partially([0.1, 0.2], [0.1, 0.2, 0.3], 0)
