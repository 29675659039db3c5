"""The least of several quantities, whose interval must know that it was chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.estimate import Estimate, mean
from harness.statistics.least import take_least

COLUMNS = st.lists(st.lists(st.floats(-5, 5), min_size=15, max_size=15), min_size=1, max_size=4)


def estimate_columns(columns):
    return [mean(column, range(len(column))) for column in columns]


@given(COLUMNS, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_value_is_the_least_and_the_interval_begins_with_the_lowest_end(columns, level):
    found = estimate_columns(columns)
    least = take_least(found)
    low, high = least.interval(level)
    assert least.value == min(e.value for e in found)
    assert low == min(e.interval(level)[0] for e in found)
    assert low - 1e-12 <= least.value <= high + 1e-12


@given(COLUMNS)
def test_an_interval_of_several_is_no_narrower_at_the_top_than_that_of_the_least(columns):
    found = estimate_columns(columns)
    alone = min(found, key=lambda e: e.interval(0.95)[1])
    assert take_least(found).interval(0.95)[1] >= alone.interval(0.95)[1] - 1e-12


def test_a_p_value_is_that_of_the_least_convincing():
    rng = np.random.default_rng(0)
    found = estimate_columns(rng.normal((0.4, 0.6, 2), 1, (40, 3)).T)
    worst = max(e.p_value(0, "above") for e in found)
    assert take_least(found).p_value(0, "above") == pytest.approx(worst, rel=1e-6)


def test_intervals_hold_the_least_of_equal_quantities_as_often_as_they_say():
    """One interval around the smallest of five equal means, unaware of the choice, would miss in a quarter."""
    rng = np.random.default_rng(3)
    held = unaware = 0
    for _ in range(400):
        found = estimate_columns(rng.normal(size=(5, 30)))
        low, high = take_least(found).interval(0.95)
        held += low <= 0 <= high
        low, high = min(found, key=lambda e: e.value).interval(0.95)
        unaware += low <= 0 <= high
    assert held >= 0.95 * 400
    assert unaware < 0.92 * 400


def test_nothing_and_what_has_no_value_have_no_least():
    with pytest.raises(ValueError, match="nothing"):
        take_least([])
    with pytest.raises(ValueError, match="without a value"):
        take_least([*estimate_columns([[0.0, 1.0]]), Estimate.absent("not there")])


def test_the_evidence_is_of_as_many_trials_as_the_estimate_says():
    """A scorecard is refused as a baseline if the two differ."""
    few = mean(np.linspace(0.5, 1, 20), [f"s{i}" for i in range(20)])
    many = mean(np.linspace(0, 0.5, 30), [f"s{i}" for i in range(30)])
    for estimates in ([few, many], [many, few]):
        least = take_least(estimates)
        assert least.value == many.value
        assert least.n == len(least.evidence.values) == 30
        assert least.clusters == 20
