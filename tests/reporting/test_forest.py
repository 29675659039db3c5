"""Marks of an interval plot stand where their numbers are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cards import record
from hypothesis import given
from hypothesis import strategies as st

from harness.reporting.forest import LEFT, RIGHT, choose_axis, lay_out_plots

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
    row = lay_out_plots([one])[0].groups[0].rows[0]
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


def test_each_unit_has_a_plot_and_each_claim_its_subjects():
    made = lay_out_plots(
        [
            record("p.1.a", "x"),
            record("p.1.b", "x", unit="layers"),
            record("p.1.a", "y", "blocked"),
            record("p.1.c", "x"),
        ]
    )
    assert [p.unit for p in made] == ["r", "layers"]
    assert [(g.claim, [r.subject for r in g.rows]) for g in made[0].groups] == [
        ("p.1.a", ["x", "y"]),
        ("p.1.c", ["x"]),
    ]
    blocked = made[0].groups[0].rows[1]
    assert (blocked.estimate, blocked.low, blocked.numbers) == (None, None, "no estimate")
    heights = [r.y for g in made[0].groups for r in g.rows]
    assert heights == sorted(set(heights))
    assert made[0].axis > heights[-1]
