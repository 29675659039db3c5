"""Marks of an interval plot stand where their numbers are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cards import record
from hypothesis import given
from hypothesis import strategies as st

from harness.reporting.forest import LEFT, RIGHT, Plot, choose_axis, lay_out_plot

FINITE = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@given(FINITE, FINITE)
def test_an_axis_has_room_and_a_few_round_ticks(a, b):
    low, high, ticks = choose_axis(min(a, b), max(a, b))
    assert low < min(a, b) <= max(a, b) < high
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)
    steps = {round(y - x, 9) for x, y in pairwise(ticks)}
    assert len(steps) == 1 or max(steps) - min(steps) < 1e-6 * max(steps)


def test_ticks_are_not_marred_by_rounding():
    assert choose_axis(0, 0.5)[2] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


@given(st.lists(FINITE, min_size=5, max_size=5), st.sampled_from(["above", "below"]))
def test_marks_keep_the_order_of_their_numbers(numbers, direction):
    low, estimate, high = sorted(numbers[:3])
    one = record(
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        threshold=numbers[3],
        published=numbers[4],
        direction=direction,
    )
    row = lay_out_plot([one]).rows["tiny"]
    pairs = [
        (low, row.low),
        (estimate, row.estimate),
        (high, row.high),
        (numbers[3], row.threshold),
        (numbers[4], row.published),
    ]
    at = [x for _, x in sorted(pairs)]
    assert at == sorted(at)
    assert at[0] >= LEFT
    assert at[-1] <= RIGHT
    end = row.shade_from + row.shade_width
    sides = (row.threshold, RIGHT) if direction == "above" else (LEFT, row.threshold)
    assert (row.shade_from, end) == pytest.approx(sides)


def test_all_subjects_of_a_claim_stand_on_one_axis():
    made = lay_out_plot(
        [record(), record(subject="x", verdict="refuted"), record(subject="y", verdict="blocked")]
    )
    assert list(made.rows) == ["tiny", "x", "y"]
    assert len({row.threshold for row in made.rows.values()}) == 1
    assert made.rows["x"].estimate < made.rows["tiny"].estimate
    blocked = made.rows["y"]
    assert (blocked.estimate, blocked.low, blocked.high) == (None, None, None)
    assert [float(label) for _, label in made.ticks] == sorted(
        float(label) for _, label in made.ticks
    )


def test_a_claim_without_records_has_an_empty_plot():
    assert lay_out_plot([]) == Plot({}, ())
