"""What verdicts do over seeds is added up, held to the table of controls, and written down."""

from __future__ import annotations

import numpy as np
import pytest

from harness.calibration import seed_tables
from harness.calibration.seed_tables import (
    DOCUMENT,
    SIZE,
    find_faults,
    make_content,
    write_document,
)
from harness.calibration.seeds import (
    NEAR,
    SEEDS,
    add_up_seeds,
    find_changing,
    read_seeds,
    tell_changing,
)
from harness.judging.controls import Expected, read_expected
from harness.judging.verdict import Verdict
from harness.machine.files import read_json, write_json

PAIR = ("p.1.a", "taught")


def note(verdict="refuted", estimate=0.5, half=0.1, threshold=0.0):
    ends = (None, None) if estimate is None or half is None else (estimate - half, estimate + half)
    return {
        "verdict": verdict,
        "threshold": threshold,
        "estimate": estimate,
        "low": ends[0],
        "high": ends[1],
    }


@pytest.fixture
def expect(monkeypatch):
    """Set what the table says of the one cell."""

    def set_cell(verdict, also=()):
        cell = Expected(Verdict(verdict), "a reason", frozenset(map(Verdict, also)))
        monkeypatch.setattr(seed_tables.controls, "read_expected", lambda: {PAIR: cell})

    return set_cell


def test_estimates_that_vary_as_their_intervals_tell_have_a_ratio_of_one():
    rng = np.random.default_rng(0)
    seeds = [note(estimate=float(x), half=1.96 * 0.2) for x in rng.normal(0.4, 0.2, 4000)]
    (cell,) = add_up_seeds({PAIR: seeds})
    assert cell["spread"]["told"] == pytest.approx(0.2)
    assert cell["spread"]["found"] == pytest.approx(0.2, rel=0.05)
    assert cell["spread"]["mean"] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(
    "seeds",
    [
        [note()] * 4,
        [note(half=None)] * 20,
        [note(estimate=None)] * 20,
        [note(half=0.0)] * 20,
    ],
    ids=["few", "no intervals", "no estimates", "points"],
)
def test_without_enough_intervals_no_spread_is_told(seeds):
    (cell,) = add_up_seeds({PAIR: seeds})
    assert cell["spread"] is None


def test_the_distance_is_from_each_seeds_own_threshold_on_either_side():
    seeds = [note(estimate=0.3, threshold=0.2), note(estimate=0.1, threshold=0.4)]
    (cell,) = add_up_seeds({PAIR: [*seeds, note(estimate=None)]})
    assert cell["distance"] == pytest.approx(0.2)
    assert cell["verdicts"] == {"refuted": 3}


def test_only_cells_whose_verdict_changes_are_found():
    same, other = [note()] * 3, [note(), note("inconclusive")]
    cells = add_up_seeds({("p.1.a", "taught"): same, ("p.1.b", "taught"): other})
    assert [c["claim"] for c in find_changing(cells)] == ["p.1.b"]


@pytest.mark.parametrize(
    ("also", "half", "told"),
    [
        ((), 0.25, "changes with the seed: 1 inconclusive, 1 refuted; expected refuted"),
        (
            ("inconclusive",),
            0.19,
            "2.6 half widths of its interval from its threshold on average, more than 2.5",
        ),
        (("inconclusive",), 0.21, None),
        (("supported",), 0.21, "expected refuted"),
    ],
)
def test_a_cell_may_change_only_to_what_the_table_says_and_near_the_threshold(
    expect, also, half, told
):
    expect("refuted", also)
    seeds = [note(half=half), note("inconclusive", half=half)]
    (cell,) = find_changing(add_up_seeds({PAIR: seeds}))
    fault = tell_changing(cell)
    assert (fault is None) if told is None else told in fault


def test_how_near_is_told_by_the_end_of_the_interval_on_the_side_of_the_threshold():
    seeds = [{**note(estimate=0.5), "low": 0.3, "high": 0.9}, note("inconclusive", half=0.2)]
    (cell,) = add_up_seeds({PAIR: seeds})
    assert cell["widths"] == pytest.approx(0.5 / 0.2)
    above = [{**s, "threshold": 1.0} for s in seeds]
    (cell,) = add_up_seeds({PAIR: above})
    assert cell["widths"] == pytest.approx(0.5 / 0.3)


def test_a_claim_that_cannot_be_asked_with_some_seeds_need_not_be_near_its_threshold(expect):
    expect("refuted", ["blocked"])
    seeds = [note(half=0.01)] * 3 + [note("blocked", estimate=None)]
    (cell,) = find_changing(add_up_seeds({PAIR: seeds}))
    assert cell["widths"] is None
    assert tell_changing(cell) is None


def test_a_cell_that_changes_though_its_intervals_are_points_is_a_fault(expect):
    expect("refuted", ["supported"])
    (cell,) = find_changing(add_up_seeds({PAIR: [note(half=0.0), note("supported", half=0.0)]}))
    assert "inf half widths" in tell_changing(cell)


def test_estimates_of_true_intervals_beyond_the_bound_seldom_change_their_verdict():
    """The figures of the bound's own note, by simulation."""
    estimates = np.random.default_rng(0).normal(NEAR, 1 / 1.96, 200_000)
    assert (estimates < 1).mean() == pytest.approx(1 / 600, rel=0.1)
    assert (estimates < 1.7).mean() == pytest.approx(1 / 17, rel=0.1)


def test_a_cell_that_is_always_another_is_a_fault(expect):
    expect("supported")
    results = {("table", "taught", seed): {PAIR[0]: note()} for seed in range(3)}
    assert find_faults(make_content(results, [], "y")) == ["p.1.a on taught: {'refuted': 3}"]
    expect("refuted")
    assert find_faults(make_content(results, [], "y")) == []


def test_the_document_names_cells_whose_estimates_vary_more_than_told():
    wide = [note(estimate=x, half=0.05) for x in (0.1, 0.5, 0.2, 0.7, 0.4)]
    narrow = [note(estimate=x, half=0.5) for x in (0.1, 0.2, 0.2, 0.1, 0.2)]
    results = {
        ("table", "taught", s): {"p.1.wide": w, "p.1.narrow": n}
        for s, (w, n) in enumerate(zip(wide, narrow, strict=True))
    }
    text = write_document(make_content(results, [], "y"))
    told = text.split("## Where intervals")[1]
    assert "p.1.wide" in told
    assert "p.1.narrow" not in told
    assert "| taught | 5 | 2 | 2 | 0 |" in text


def test_cells_of_claims_that_asked_something_else_are_not_read(tmp_path):
    file = tmp_path / "seeds.json"
    then = {f"p.1.{name}": {"statement": name, "thresholds": [0.5]} for name in "abc"}
    cells = [{"claim": claim, "control": "taught"} for claim in then]
    write_json(file, {"claims": then, "cells": cells})
    now = {
        "p.1.a": then["p.1.a"],
        "p.1.b": {"statement": "b", "thresholds": [0.6]},
        "p.1.d": {"statement": "d", "thresholds": [0.5]},
    }
    assert read_seeds(file, now) == [{"claim": "p.1.a", "control": "taught"}]


@pytest.mark.parametrize("content", ["[]", "{}", '{"claims": {}, "cells": [{"claim": "p.1.a"}]}'])
def test_damaged_seeds_are_told_in_a_line(tmp_path, content):
    file = tmp_path / "seeds.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="damaged"):
        read_seeds(file, {})


@pytest.fixture(scope="module")
def committed():
    return read_json(SEEDS)


FAR = {
    # With one or two seeds of twenty it is 0.14 to 0.18, where with most it is 0.
    "reproduction.keys.all_together on taught-content",
    "reproduction.keys.all_together on taught-spread",
    # One seed of twenty is left open by correction alone, at p = 0.029 of 0.025.
    "reproduction.similarity.low_entropy on taught-spread",
    # One seed of twenty, whose targets lie further apart, is left open by correction alone.
    "visual_symbols.3.3.plane_of_features on taught",
    # Lists of few heads: their interval is a point with most seeds, and with some a fifth or a third.
    "visual_symbols.3.4.separate_heads on taught-content",
    "visual_symbols.3.4.separate_heads on taught-spread",
    # It varies 2.7 times as much as its intervals tell; how many heads are put in is chosen with each seed.
    "visual_symbols.b.repeats_first on taught",
}
"""Cells whose verdict changes though they lie farther from their threshold than true intervals would allow."""


def test_every_cell_of_the_taught_controls_is_as_the_table_says_with_every_seed(committed):
    assert {fault.partition(" changes")[0] for fault in find_faults(committed)} == FAR


def test_the_seeds_are_of_every_claim_and_every_taught_control(committed):
    taught = {pair for pair in read_expected() if pair[1].startswith("taught")}
    assert {(c["claim"], c["control"]) for c in committed["cells"]} == taught
    assert set(committed["seeds"].values()) == {SIZE.repeats}


def test_a_claim_that_is_supported_and_refuted_lies_at_its_threshold(committed):
    """An estimate at its threshold falls to either side with one seed of forty each.

    One that lies a half width away does so on the far side with one seed of 20,000.
    """
    both = {
        (c["claim"], c["control"]): c["widths"]
        for c in committed["cells"]
        if {"supported", "refuted"} <= set(c["verdicts"])
    }
    # One pair of objects is one draw: its lists differ by twice what their intervals tell.
    del both["reproduction.mediation.one_pair_features", "taught-content"]
    assert all(widths < 1 for widths in both.values()), both


def test_the_document_is_what_its_module_makes_of_the_seeds(committed):
    assert DOCUMENT.read_text() == write_document(committed)
