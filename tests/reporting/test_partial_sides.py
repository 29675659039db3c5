"""A comparison of partial runs is green only if that was asked for, and then only for the run's own claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import first, measured, side

from harness.reporting.compare import compare
from harness.reporting.fates import Fate
from harness.reporting.gate import markdown, render, to_json
from harness.reporting.sides import NotComparable, keep_own

WHY = "2 claims left out"
NAMES = ("paper.1.a", "paper.1.b", "paper.1.c")


def judged(*names, share=0.9, partial=False, where="a run"):
    pairs = [measured(first(share), claim=name) for name in names]
    return side(*pairs, where=where, partial=partial, partial_because=WHY if partial else "")


def test_a_partial_run_is_red_though_nothing_that_was_asked_is_lost():
    found = compare(judged("paper.1.a"), judged("paper.1.a", partial=True))
    assert (found.lost, found.red) == (False, True)
    assert "RED: PARTIAL RUN (2 claims left out)" in " ".join(render(found, width=300))
    assert "## ❌" in markdown(found)
    assert WHY in markdown(found)
    told = to_json(found)
    assert (told["red"], told["own"], told["partial"]) == (True, False, f"PARTIAL RUN ({WHY})")


def test_asked_for_by_name_it_is_green_for_its_own_claims():
    found = compare(judged(*NAMES), judged("paper.1.a", partial=True), partial=True)
    assert not found.red
    assert [row.claim for row in found.rows] == ["paper.1.a"]
    assert "GREEN, for 1 claim only: PARTIAL RUN (2 claims left out)" in " ".join(
        render(found, width=300)
    )
    assert "## ✅" in markdown(found)
    assert "for 1 claim only" in markdown(found)


def test_its_own_claims_can_still_be_lost():
    found = compare(judged(*NAMES), judged("paper.1.a", share=0.2, partial=True), partial=True)
    assert [row.fate for row in found.rows] == [Fate.regressed]
    assert found.red
    assert "RED, 1 regressed: this must not be released as it is. Also: PARTIAL RUN" in " ".join(
        render(found, width=300)
    )


def test_to_allow_a_partial_run_hides_no_claim_that_a_whole_one_lacks():
    found = compare(judged(*NAMES), judged("paper.1.a"), partial=True)
    assert [row.fate for row in found.rows].count(Fate.missing) == 2
    assert found.red


def test_a_partial_baseline_is_compared_only_if_that_is_asked_for():
    with pytest.raises(NotComparable, match="not whole: PARTIAL RUN .2 claims .*--partial"):
        compare(judged("paper.1.a", partial=True), judged("paper.1.a"))
    found = compare(judged("paper.1.a", partial=True), judged(*NAMES), partial=True)
    assert [row.fate for row in found.rows].count(Fate.new) == 2
    assert found.red, "the baseline does not say how two claims stood"


@given(
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_green_means_that_every_claim_was_compared_or_that_somebody_allowed_less(
    before, after, before_partial, after_partial, allowed
):
    one, other = judged(*before, partial=before_partial), judged(*after, partial=after_partial)
    try:
        found = compare(one, other, partial=allowed)
    except NotComparable:
        assert before_partial
        assert not allowed
        return
    partial = before_partial or after_partial
    green = (before == after and not partial) or (allowed and partial and after <= before)
    assert found.red is not green


def test_its_own_claims_are_those_of_its_own_subjects():
    one, other = (measured(first(0.9), subject=s) for s in ("tiny", "small"))
    more = measured(first(0.9), subject="tiny", claim="paper.1.more")
    kept = keep_own(side(one, other, more), side(one, partial=True))
    assert [(r.claim, r.subject) for r in kept.card.records] == [("paper.1.order", "tiny")]


def test_a_single_subject_is_its_baseline_under_another_name():
    kept = keep_own(
        side(measured(first(0.9))), side(measured(first(0.9), subject="candidate"), partial=True)
    )
    assert len(kept.card.records) == 1


def test_an_older_scorecard_that_does_not_know_its_evidence_is_noted():
    one = side(measured(first(0.9)))
    [note] = compare(replace(one, bound=False), one).notes
    assert "does not say which evidence is its own" in note
