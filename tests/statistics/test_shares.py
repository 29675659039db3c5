"""Sums of shares: their intervals hold the truth, also where an event never happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.estimate import Estimate, proportion
from harness.statistics.shares import add_shares, subtract_mean_shares

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


shares = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30)


@given(shares, st.sampled_from([0.5, 0.9, 0.95]))
def test_exchanging_two_conditions_turns_the_difference_of_means_round(pairs, level):
    a, b = np.array(pairs).T
    scenes = np.arange(len(a)) // 2
    one, other = subtract_mean_shares(a, b, scenes), subtract_mean_shares(b, a, scenes)
    low, high = one.interval(level)
    assert one.value == pytest.approx(a.mean() - b.mean())
    assert other.interval(level) == pytest.approx((-high, -low))
    assert -1 <= low <= one.value + 1e-12
    assert one.value - 1e-12 <= high <= 1


def test_differences_that_are_all_equal_are_not_known_exactly():
    found = subtract_mean_shares(np.ones(20), np.zeros(20), range(20))
    assert found.value == 1
    assert found.interval(0.95)[0] < 0.75
    assert found.interval(0.95)[1] == 1


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([0.5, 1.2], [0.1, 0.1], r"in \[0, 1\]"),
        ([0.5, np.nan], [0.1, 0.1], r"in \[0, 1\]"),
        ([0.5], [0.1, 0.1], "must agree in shape"),
    ],
)
def test_means_of_what_is_no_share_are_refused(a, b, said):
    with pytest.raises(ValueError, match=said):
        subtract_mean_shares(a, b, range(2))


@pytest.mark.parametrize("kind", ["both", "one", "mixed"])
def test_a_difference_of_means_is_held_as_often_as_it_says(kind):
    """Probabilities near 0 and 1, as patches give them, in 24 pairs of trials."""
    rng, held, rounds = np.random.default_rng(4), 0, 600
    for _ in range(rounds):
        moved = {"both": rng.beta(9, 1, 24), "one": rng.beta(0.3, 0.1, 24)}.get(
            kind, np.where(rng.random(24) < 0.8, rng.beta(20, 1, 24), rng.beta(1, 20, 24))
        )
        truth = {"both": 0.9, "one": 0.75}.get(kind, 0.8 * 20 / 21 + 0.2 / 21) - 0.1
        base = rng.beta(1, 9, 24)
        low, high = subtract_mean_shares(moved, base, range(24)).interval(0.95)
        held += low <= truth <= high
    assert held / rounds > 0.93
