"""The mean by sign flips: its interval holds exactly the numbers that the test does not reject."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from harness.statistics.flips import mean_by_flips

numbers = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=8, max_size=9)


def reject(values, centre):
    """Two one-sided sign-flip tests over all flips: (p that the mean is not above, p that it is not below)."""
    moved = np.asarray(values) - centre
    means = np.array([moved @ flip for flip in product((1, -1), repeat=len(moved))])
    # Sums that are equal but for rounding count as equal.
    return (means >= moved.sum() - 1e-9).mean(), (means <= moved.sum() + 1e-9).mean()


@given(numbers)
def test_the_limits_are_those_of_the_exact_test(values):
    level = 0.80
    low, high = mean_by_flips(values, range(len(values))).interval(level)
    # Flips are drawn, so that p-values near the level may fall on either side of it.
    for limit, side, inside in ((low, 0, 1e-6), (high, 1, -1e-6)):
        assert reject(values, limit + inside)[side] > (1 - level) / 2 - 0.02
        assert reject(values, limit - inside)[side] < (1 - level) / 2 + 0.02


@given(numbers, st.floats(-3, 3))
def test_a_shift_of_all_values_shifts_the_interval(values, by):
    ours = mean_by_flips(values, range(len(values))).interval(0.9)
    moved = mean_by_flips(np.add(values, by), range(len(values))).interval(0.9)
    assert moved == pytest.approx(np.add(ours, by), abs=1e-9)


def test_a_scene_changes_sign_as_one():
    rng = np.random.default_rng(0)
    values = rng.normal(1, 1, 12)
    once = mean_by_flips(values, [f"s{i}" for i in range(12)])
    twice = mean_by_flips(np.repeat(values, 2), np.repeat([f"s{i}" for i in range(12)], 2))
    assert (twice.n, twice.clusters) == (24, 12)
    assert twice.interval(0.95) == pytest.approx(once.interval(0.95))


def test_the_interval_errs_as_often_as_its_level_says():
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(200):
        low, high = mean_by_flips(rng.standard_t(3, 20), range(20)).interval(0.9)
        missed += not low <= 0 <= high
    assert binom.ppf(0.001, 200, 0.1) <= missed <= binom.ppf(0.999, 200, 0.1)


def test_few_scenes_reject_nothing_and_values_that_are_all_zero_are_not_above_zero():
    low, high = mean_by_flips([1.0, 2.0, 3.0, 4.0], range(4)).interval(0.95)
    assert (low, high) == (-math.inf, math.inf)
    assert mean_by_flips(np.zeros(20), range(20)).interval(0.95) == (0, 0)


@pytest.mark.parametrize("scenes", [12, 14, 40])
def test_no_p_value_is_smaller_than_a_flip_of_so_many_scenes_can_show(scenes):
    found = mean_by_flips(np.ones(scenes) + 0.01 * np.arange(scenes), range(scenes))
    assert found.p_value(0, "above") >= 2.0**-scenes
    assert found.p_value(0, "above") == pytest.approx(found.resolution)
    assert found.p_value(0, "below") > 0.99
