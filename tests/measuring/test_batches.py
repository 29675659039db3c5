"""Batches are as large as was asked, also where one reason to divide them stands within another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.measuring.batches import cut_batches, divide_batches, limit_rows

FEW = st.integers(1, 6)


@given(FEW, FEW, st.integers(1, 200))
def test_batches_are_divided_by_both_numbers_where_blocks_are_nested(outer, inner, rows):
    with divide_batches(outer) as first:
        with divide_batches(inner) as second:
            assert limit_rows(rows) == max(1, rows // (outer * inner)) == second.rows
        assert first.rows == 0
        assert limit_rows(rows) == max(1, rows // outer) == first.rows
    assert limit_rows(rows) == rows


@given(FEW, st.integers(0, 50), st.integers(1, 20))
def test_every_trial_is_in_one_batch_however_they_are_cut(divisor, count, rows):
    with divide_batches(divisor):
        cut = [i for piece in cut_batches(count, rows) for i in range(count)[piece]]
    assert cut == list(range(count))
