"""Sums of shares: their intervals hold the truth, also where an event never happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.estimate import Estimate, proportion
from harness.statistics.shares import add_shares

N = 40
SCENES = [f"scene {i}" for i in range(N)]


def share(count):
    return proportion(np.arange(N) < count, SCENES)


@given(st.integers(0, N), st.sampled_from([0.5, 0.9, 0.95, -0.2]))
def test_a_single_share_keeps_its_interval_and_a_subtracted_one_is_mirrored(count, level):
    alone = share(count)
    same, mirrored = (add_shares([(sign, alone)], n=N, clusters=N) for sign in (1, -1))
    assert same.interval(level) == pytest.approx(alone.interval(level))
    assert mirrored.interval(level) == pytest.approx(tuple(-x for x in alone.interval(level)[::-1]))


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(0, N)), min_size=1, max_size=4))
def test_intervals_hold_the_value_and_grow_with_every_share(terms):
    found = add_shares([(sign, share(count)) for sign, count in terms], n=N, clusters=N)
    low, high = found.interval(0.95)
    assert low <= found.value <= high
    assert found.value == pytest.approx(sum(sign * count / N for sign, count in terms))
    more = add_shares([*((s, share(c)) for s, c in terms), (1, share(0))], n=N, clusters=N)
    assert more.interval(0.95)[1] > high


@pytest.mark.parametrize("rare", [0.01, 0.05, 0.3], ids=["rare", "seldom", "often"])
def test_a_difference_of_shares_is_held_as_often_as_it_says(rare):
    rng = np.random.default_rng(0)
    truth, held, runs = 0.2 - rare, 0, 400
    for _ in range(runs):
        one, other = (proportion(rng.random(N) < p, SCENES) for p in (0.2, rare))
        low, high = add_shares([(1, one), (-1, other)], n=N, clusters=N).interval(0.95)
        held += low < truth < high
    assert held / runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_a_share_without_a_value_is_refused():
    with pytest.raises(ValueError, match="without a value"):
        add_shares([(1, Estimate.absent("there is none"))], n=N, clusters=N)
