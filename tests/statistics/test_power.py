"""Power by counting and by simulation, and the search for trials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from harness.statistics.power import compute_exact_power, find_trials, simulate_power

SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
COUNTS = st.integers(1, 60)


@given(SHARES, COUNTS, st.data())
def test_the_power_of_a_count_is_the_sum_of_binomial_probabilities(share, n, data):
    least = data.draw(st.integers(0, n))
    counts = np.arange(n + 1)
    for is_found in (lambda count: count >= least, lambda count: count <= least):
        wanted = binom.pmf(counts[[is_found(c) for c in counts]], n, share).sum()
        found = compute_exact_power(share, n, is_found)
        assert found == pytest.approx(wanted, abs=1e-9)


def test_what_no_count_finds_has_no_power():
    assert compute_exact_power(0.9, 20, lambda count: False) == 0.0


def test_a_simulated_power_agrees_with_the_exact_one_and_is_the_same_each_time():
    n, share = 40, 0.7
    exact = compute_exact_power(share, n, lambda count: count >= 27)
    simulated = [
        simulate_power(lambda rng: bool(rng.binomial(n, share) >= 27), repeats=4000, seed=1)
        for _ in range(2)
    ]
    assert simulated[0] == simulated[1]
    assert simulated[0] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000))


@given(st.integers(24, 20_000), st.integers(24, 20_000))
def test_the_search_ends_close_above_the_smallest_number_that_does(needed, start):
    found = find_trials(lambda n: float(n >= needed), start=start, least=24, most=20_000)
    assert needed <= found <= max(24, needed + 1, 1.04 * needed)


def test_more_trials_than_can_be_had_are_none():
    assert find_trials(lambda n: 0.5, start=100, least=24, most=1000) is None


def test_the_last_number_that_is_tried_counts():
    assert find_trials(lambda n: float(n >= 1000), start=100, least=24, most=1000) == 1000
