"""The tables of docs/orders.md are those that its module makes, and no kind of curve breaks the bounds."""

from __future__ import annotations

import re

import pytest

from harness.calibration import depths, order_tables, orders
from harness.calibration.order_tables import (
    DOCUMENT,
    REPEATS,
    TEXT,
    find_errors,
    make_row,
    simulate_claimed,
    spell_heads,
    spell_share,
)
from harness.calibration.orders import SIZES, SPREAD, Rates

KINDS = [*orders.KINDS, "mixed", *orders.WITHOUT_ORDER]


@pytest.fixture(scope="module")
def tables():
    """The three tables as lists of rows, of which the first is the head."""
    found = re.findall(r"(?:^\|.*\n)+", DOCUMENT.read_text(), re.M)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        for table in found
    ]


def test_the_document_is_the_text_with_the_rules_kinds_and_sizes_that_there_are(tables):
    rules, sizes, heads = tables
    assert rules[0][1:] == list(orders.RULES)
    assert [row[0] for row in rules[2:]] == KINDS
    assert [row[0] for row in sizes[2:]] == [k for k in KINDS for _ in range(len(SIZES) + 1)]
    assert heads[0][1:] == list(depths.RULES)
    assert [row[0] for row in heads[2:]] == list(depths.KINDS)
    parts = re.split(r"\{\w+\}", TEXT)
    assert all(part in DOCUMENT.read_text() for part in parts)


def read_percent(text):
    return float(text.rstrip("%")) / 100


def test_no_kind_of_curve_breaks_the_bounds_at_any_size(tables):
    rules, sizes, heads = tables
    for row in sizes[2:]:
        assert max(map(read_percent, row[4:6])) <= 0.025
    for row in (*rules[2:], *heads[2:]):
        assert max(map(read_percent, row[1].split(" / ")[:2])) <= 0.025
    found = {(row[0], int(row[1]), row[3]): row[6:] for row in sizes[2:]}
    for size in SIZES:
        assert read_percent(found["clean peak", size.layers, str(SPREAD)][0]) >= 0.9
        assert read_percent(found["plateau", size.layers, str(SPREAD)][1]) >= 0.9


@pytest.mark.parametrize(
    ("kind", "size"),
    [("two peaks", SIZES[0]), pytest.param("mixed", SIZES[2], marks=pytest.mark.deep)],
)
def test_a_row_made_again_is_the_row_of_the_document(tables, kind, size):
    row = make_row(kind, size, SPREAD, simulate_claimed(kind, size, SPREAD))
    assert row in tables[1]


def test_an_order_where_there_is_none_is_an_error_whatever_it_says():
    cells = [(0, Rates(0.2, 0.7)), (1, Rates(0.5, 0.1))]
    assert find_errors("plateau", cells) == (0.2, 0.1)
    assert find_errors("absent", cells) == pytest.approx((0.35, 0.4))
    assert find_errors("plateau", cells[:1]) == (0.2, 0.0)


def test_heads_that_share_their_layers_can_only_be_wrong():
    assert spell_heads([(0, Rates(0.02, 0.5)), (0, Rates(0.04, 0.5))]) == "3.0%"
    assert spell_heads([(-1, Rates(0.0, 1.0)), (1, Rates(0.98, 0.0))]) == "0% / 0% / 98%"
    assert [spell_share(s) for s in (0.0, 0.004, 0.25, 1.0)] == ["0%", "0.4%", "25%", "100%"]


def test_the_document_does_not_use_the_seeds_of_the_tests():
    assert order_tables.SEED > 100
    assert REPEATS >= 50
