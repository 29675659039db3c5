"""The short text of a scorecard: counts, everything red, and a few claims chosen by a rule."""

from __future__ import annotations

import random

from cards import card, record

from harness.reporting.highlights import choose
from harness.reporting.scorecard import build
from harness.reporting.terminal import render


def brief(made, before=None, told=()):
    return "\n".join(render(made, before, brief=True, told=told))


def test_verdicts_are_counted_and_not_tabled():
    text = brief(card(record("p.1.a"), record("p.1.b"), record("p.1.c", "other", "blocked")))
    assert "\n2 supported, 1 blocked\n  tiny   2 supported\n  other  1 blocked\n" in text
    assert "the whole interval" not in text


def test_everything_red_is_told_and_of_other_differences_a_few():
    lost = [record(f"p.1.l{i}", verdict="refuted", baseline="supported") for i in range(9)]
    better = [record(f"p.1.b{i}", baseline="refuted") for i in range(9)]
    text = brief(card(*lost, *better))
    assert all(f"p.1.l{i}" in text for i in range(9))
    assert [f"p.1.b{i}" in text for i in range(9)] == [True] * 5 + [False] * 4
    assert "4 more differ from the baseline, none of them for the worse." in text
    assert "Worth reading" not in text


def test_failures_that_were_printed_are_counted_unless_they_differ_from_a_baseline():
    alone = [record(f"p.1.a{i}", verdict="refuted") for i in range(3)]
    told = {(r.claim, r.subject) for r in alone}
    text = brief(card(*alone), told=told)
    assert "3 of 3 verdicts fail the run" in text
    assert "because it is refuted" not in text
    assert brief(card(*alone), told=set()).count("because it is refuted") == 3
    lost = record("p.1.a0", verdict="refuted", baseline="supported")
    assert "because it is refuted" in brief(card(lost), told=told)


def test_a_claim_that_correction_took_back_is_told_though_its_test_passed():
    weak = [record("p.1.weak", p_value=0.02)]
    many = [record(f"p.1.c{i}", verdict="refuted", baseline="refuted") for i in range(20)]
    text = brief(card(*weak, *many))
    assert "after correction over 21 claims" in text


def test_missing_claims_are_named():
    assert brief(card(record(), missing=[("p.1.b", "tiny")])).endswith("tiny p.1.b")


def test_what_is_worth_reading_has_words_numbers_and_every_subject():
    made = card(
        *(record("p.1.a", s, "refuted", baseline="refuted", statement="All is well.") for s in "ab")
    )
    text = brief(made)
    assert "Nothing differs from the baseline.\n\nWorth reading:\n\n  All is well.\n" in text
    assert "    refuted     a 0.2 [0.1, 0.3], b 0.2 [0.1, 0.3] r\n" in text
    assert "claimed above 0.4 r (p.1.a)" in text


def test_claims_that_tell_mechanisms_apart_come_first_one_of_a_section():
    claims = ["p.1.a", "p.1.b", "p.2.a", "p.3.a", "p.4.a", "p.5.a", "reproduction.1.a"]
    made = card(*(record(c, verdict="refuted") for c in claims[:-1]), record(claims[-1]))
    telling = dict.fromkeys(claims, 0) | {"p.1.b": 1, "p.3.a": 2, "p.4.a": 1, "p.5.a": 1}
    assert choose(made, telling) == ["p.1.b", "p.3.a", "p.4.a"]
    # Without such claims the first sections of the paper.
    assert choose(made, dict.fromkeys(claims, 0)) == [
        "p.1.a", "p.2.a", "p.3.a", "reproduction.1.a",
    ]  # fmt: skip


def test_the_choice_does_not_depend_on_the_order_of_execution():
    records = [record(f"p.{i}.a", s, "refuted") for i in range(6) for s in "ab"]
    telling = {r.claim: 1 for r in records}
    expected = choose(card(*records), telling)
    shuffled = random.Random(3).sample(records, len(records))
    made = card(*records)
    again = build(made.run, shuffled, [(r.claim, r.subject) for r in records])
    assert choose(again, telling) == expected
