"""Two scorecards: what counts as lost, what is refused, and that nothing missing is ever green."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from cards import record
from scored import N, first, measured, side

from harness.reporting.compare import compare
from harness.reporting.fates import Fate
from harness.reporting.gate import markdown, render, to_json
from harness.reporting.sides import NotComparable
from harness.statistics.draws import from_draws
from harness.statistics.estimate import mean
from harness.statistics.evidence import Evidence


def ends(estimate):
    """The ends of its interval, as a record has them."""
    low, high = estimate.interval(0.95)
    return {"ci_low": low, "ci_high": high}


def fate(before, after, **how):
    """What becomes of one claim."""
    [row] = compare(side(before), side(after), **how).rows
    return row


def test_a_run_against_itself_is_green_and_nothing_has_changed():
    one = side(measured(first(0.9)), measured(first(0.2), claim="paper.1.other"))
    found = compare(one, one)
    assert {row.fate for row in found.rows} == {Fate.unchanged}
    assert not found.red
    assert render(found)[-1] == "GREEN"


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (0.9, 0.2, Fate.regressed),
        (0.9, 0.6, Fate.regressed),
        (0.9, 0.87, Fate.unchanged),
        (0.6, 0.95, Fate.improved),
        (0.2, 0.9, Fate.improved),
        (0.2, 0.02, Fate.unchanged),
        (0.5, 0.1, Fate.regressed),
    ],
    ids=str,
)
def test_two_verdicts_decide_what_became_of_a_claim(before, after, wanted):
    assert fate(measured(first(before)), measured(first(after))).fate is wanted


def test_a_verdict_that_slips_on_a_few_trials_is_no_loss_and_says_so():
    before, after = measured(first(0.56)), measured(first(0.52))
    assert (before[0].verdict, after[0].verdict) == ("supported", "inconclusive")
    row = fate(before, after)
    assert row.fate is Fate.unchanged
    low, high = row.difference.interval(0.95)
    assert low < row.difference.value < high
    assert row.detectable > row.margin
    assert row.trials > N


def numbers(values, scenes=None, **changes):
    """A record and its evidence, of numbers."""
    found = mean(values, range(len(values)) if scenes is None else scenes)
    bounds = [x if np.isfinite(x) else None for x in found.interval(0.95)]
    facts = {"estimate": found.value, "ci_low": bounds[0], "ci_high": bounds[1], "n": found.n}
    return record(**facts, clusters=found.clusters, **changes), found.evidence


def test_a_supported_claim_that_is_rather_false_now_is_lost_however_noisy():
    spread = np.linspace(-1, 1, 200)
    row = fate(numbers(1 + 0.05 * spread), numbers(-3 + 50 * spread, verdict="inconclusive"))
    assert row.fate is Fate.regressed
    assert row.p > 0.025
    assert "no more above 0.4" in row.reason


@pytest.mark.parametrize("scenes", [1, 11])
def test_a_supported_claim_of_which_a_few_scenes_are_left_is_lost(scenes):
    before = numbers(1 + 0.05 * np.random.default_rng(0).normal(size=200))
    values = 1 + np.arange(22) % scenes * 0.01
    row = fate(before, numbers(values, np.arange(22) % scenes, verdict="inconclusive"))
    assert row.fate is Fate.regressed
    assert "was supported, is inconclusive" in row.reason


def test_a_lost_verdict_with_a_sure_loss_is_red_without_correction():
    others = [measured(first(0.9), claim=f"paper.1.c{i}") for i in range(60)]
    before, after = measured(first(0.9, 48)), measured(first(0.46, 48))
    [row, *_] = compare(side(before, *others), side(after, *others)).rows
    assert row.after.verdict == "inconclusive"
    assert row.fate is Fate.regressed


def test_two_scorecards_without_claims_cannot_be_compared():
    with pytest.raises(NotComparable, match="no claim"):
        compare(side(), side())


@pytest.mark.parametrize("verdict", ["refuted", "blocked", "not_applicable"])
def test_a_claim_that_can_no_longer_be_asked_is_lost(verdict):
    gone = record(verdict=verdict, estimate=None, ci_low=None, ci_high=None, n=0, clusters=0)
    row = fate(measured(first(0.9)), (gone, None))
    assert row.fate is Fate.regressed
    assert row.difference is None
    assert verdict in row.reason


@pytest.mark.parametrize("verdict", ["error", "not_run"])
def test_a_claim_that_either_side_did_not_judge_is_missing(verdict):
    nothing = (record(verdict=verdict), None)
    assert fate(measured(first(0.9)), nothing).fate is Fate.missing
    assert fate(nothing, measured(first(0.9))).fate is Fate.new


def test_what_needs_images_that_are_on_neither_side_is_not_lost_and_is_named():
    """A checkpoint without photographs beside one without: as much was asked of both."""
    nothing, one = (record(claim="paper.1.b", verdict="not_run"), None), measured(first(0.9))
    found = compare(side(one, nothing), side(one, nothing))
    assert not found.red
    assert any("paper.1.b" in line and "not run on either side" in line for line in render(found))


def test_a_claim_missing_on_either_side_is_red():
    one, two = measured(first(0.9)), measured(first(0.9), claim="paper.1.other")
    for before, after, wanted in (
        (side(one, two), side(one), Fate.missing),
        (side(one), side(one, two), Fate.new),
        (side(one), side(one, missing=[("paper.1.other", "tiny")]), Fate.missing),
    ):
        found = compare(before, after)
        assert [r.claim for r in found.of(wanted)] == ["paper.1.other"]
        assert found.red
        assert render(found)[-1].startswith("RED")


def test_many_claims_are_corrected_for():
    """One loss in forty at p near 0.025 is what chance gives; alone it counts."""
    before = [measured(first(0.9), claim=f"paper.1.c{i}") for i in range(40)]
    after = [measured(first(0.9), claim=f"paper.1.c{i}") for i in range(40)]
    # Margin 12.5 points; lost 23: one-sided p about 0.02.
    after[0] = measured(first(0.67), claim="paper.1.c0")
    alone = compare(side(before[0]), side(after[0])).rows[0]
    among = compare(side(*before), side(*after)).rows[0]
    assert 0.001 < alone.p < 0.025 < among.p
    assert (alone.fate, among.fate) == (Fate.regressed, Fate.unchanged)


def drawn(value, name, clusters=30, run=0):
    """A record and the evidence of a correlation."""
    rng = np.random.default_rng([int(name[1:]), run])
    found = from_draws(value, value + rng.normal(scale=0.02, size=1000), n=N, clusters=clusters)
    facts = {"estimate": value, **ends(found), "n": N}
    return record(f"paper.1.{name}", **facts, clusters=clusters, p_value=0.001), found.evidence


@pytest.mark.parametrize("clusters", [12, 100])
def test_a_correlation_that_is_lost_among_sixty_that_hold_is_red(clusters):
    names = [f"c{i}" for i in range(60)]
    before = [drawn(0.95, name, clusters) for name in names]
    found = compare(side(*before), side(drawn(0.45, "c0", clusters, run=1), *before[1:]))
    assert [row.claim for row in found.of(Fate.regressed)] == ["paper.1.c0"]


def test_claims_refuted_before_do_not_count_in_the_correction():
    """It cannot be lost, so it must not hide what is."""
    refuted = [measured(first(0.1), claim=f"paper.1.c{i}") for i in range(40)]
    before, after = measured(first(0.9)), measured(first(0.67))
    alone = compare(side(before), side(after)).rows[0]
    among = compare(side(before, *refuted), side(after, *refuted)).rows[0]
    assert among.p == alone.p < 0.025
    assert among.fate is Fate.regressed


def test_a_claim_below_its_threshold_gets_worse_when_its_value_rises():
    def small(values):
        found = mean(values, range(len(values)))
        facts = {"estimate": found.value, **ends(found)}
        facts |= {
            "n": N,
            "clusters": N,
            "direction": "below",
            "verdict": "supported",
            "p_value": 0.0,
        }
        return record(**facts), found.evidence

    noise = np.random.default_rng(0).normal(scale=0.05, size=N)
    assert fate(small(noise), small(noise + 0.3)).fate is Fate.regressed
    assert fate(small(noise + 0.2), small(noise)).fate is Fate.improved


def test_single_subjects_are_matched_and_several_go_by_name():
    old, new = measured(first(0.9)), measured(first(0.1), subject="release")
    assert compare(side(old), side(new)).rows[0].fate is Fate.regressed
    other = measured(first(0.9), subject="other")
    found = compare(side(old, other), side(new))
    assert {r.fate for r in found.rows} == {Fate.new, Fate.missing}


def test_without_evidence_the_intervals_are_compared_and_it_is_said():
    one, other = measured(first(0.9)), measured(first(0.2))
    blind = compare(side(one, evidence=False), side(other))
    [row] = blind.rows
    assert "unpaired" in row.difference.method
    assert any("no evidence beside it" in note for note in blind.notes)
    [seen] = compare(side(one), side(other)).rows
    widths = [np.diff(r.difference.interval(0.95))[0] for r in (row, seen)]
    assert widths[0] > 0
    assert widths[1] > 0


def test_json_and_markdown_say_the_same_and_break_nothing():
    odd = measured(first(0.2), reason="<b>|pipe|</b>\nnext")
    found = compare(side(measured(first(0.9))), side(odd))
    content = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert content["red"] is True
    [row] = content["rows"]
    assert row["ci_low"] < row["difference"] < row["ci_high"] < 0
    table = markdown(found)
    assert "| regressed | paper.1.order |" in table
    lost = (replace(odd[0], estimate=None, ci_low=None, ci_high=None), None)
    shown = markdown(compare(side(measured(first(0.9))), side(lost)))
    assert "<b>" not in shown
    for table in shown.split("\n\n"):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) <= 1, table


def test_markdown_shows_what_changed_first_and_folds_what_did_not():
    same = [measured(first(0.9), claim=f"paper.1.c{i}") for i in range(3)]
    unasked = record(claim="paper.1.images", verdict="not_run"), None
    before = side(*same, measured(first(0.9)), unasked)
    table = markdown(compare(before, side(*same, measured(first(0.2)), unasked)))
    start = table.index("\n\n<details><summary>3 unchanged</summary>\n\n| fate |")
    shown, folded = table[:start], table[start : table.index("\n\n</details>\n\n")]
    assert "| regressed | paper.1.order |" in shown
    # It was not compared, which is something else than not to have changed.
    assert "| unchanged | paper.1.images |" in shown
    assert [f"| unchanged | paper.1.c{i} |" in folded for i in range(3)] == [True] * 3
    assert "paper.1.c" not in table.replace(folded, "").partition("A loss counts")[0]
    green = markdown(compare(side(*same), side(*same)))
    assert green.split("\n\n")[1] == "<details><summary>3 unchanged</summary>"


def test_a_claim_that_neither_side_judged_is_written_without_a_unit():
    run = side(measured(first(0.9)))
    run = replace(run, card=replace(run.card, missing=(("paper.1.lost", "tiny"),)))
    rows = to_json(compare(side(measured(first(0.9))), run))["rows"]
    assert [(r["fate"], r["unit"]) for r in rows] == [("unchanged", "r"), ("missing", None)]


def test_values_that_are_draws_keep_the_number_of_trials():
    draws = Evidence(np.random.default_rng(0).normal(0.6, 0.05, 1000))
    row = fate((record(), draws), (record(), Evidence(draws.values)))
    assert row.difference.n == 40
    assert "draw by draw" in row.difference.method
