"""Claims are data that cannot be malformed, cannot be edited, and have one hash."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judging.claim import ORIGINS, Claim, Threshold, above, below, claim, claims_hash

STATED = "stated in the paper"
ORDER = {
    "id": "visual_symbols.3.3.order",
    "statement": "At the last token the position is represented before the features.",
    "source": "Assouel et al. 2026, section 3.3",
    "threshold": above(0, unit="layers", origin=STATED),
}


def order(**changes: object) -> Claim:
    return Claim(**{**ORDER, **changes})


def test_above_and_below_differ_only_in_direction():
    high, low = above(0.4, unit="r", origin=STATED), below(0.4, unit="r", origin=STATED)
    assert (high.direction, low.direction) == ("above", "below")
    assert dataclasses.replace(low, direction="above") == high
    assert hash(dataclasses.replace(low, direction="above")) == hash(high)


def test_below_hands_all_its_arguments_to_the_threshold():
    low = below(1, unit="r", origin="chosen by us", note="why", exceptions={"llava": 2})
    assert low == Threshold(1.0, "below", "r", "chosen by us", "why", {"llava": 2.0})


def test_a_named_subject_may_have_another_threshold():
    threshold = above(0.4, unit="r", origin=STATED, exceptions={"llava": 0.3})
    assert threshold.for_subject("llava") == 0.3
    assert threshold.for_subject("qwen") == 0.4


def test_exceptions_are_a_copy_that_cannot_be_written():
    given_exceptions = {"llava": 0.3}
    threshold = above(0.4, unit="r", origin=STATED, exceptions=given_exceptions)
    given_exceptions["llava"] = 9.0
    assert threshold.for_subject("llava") == 0.3
    with pytest.raises(TypeError):
        threshold.exceptions["llava"] = 9.0


def test_what_we_chose_needs_a_note():
    with pytest.raises(ValueError, match="note that says why"):
        above(0.4, unit="r", origin="chosen by us", note=" ")
    assert above(0.4, unit="r", origin="chosen by us", note="half of chance").note
    for origin in ORIGINS[:2]:
        assert above(0.4, unit="r", origin=origin).note == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": math.nan}, "threshold value is nan"),
        ({"value": -math.inf}, "finite"),
        ({"value": "high"}, "not a number"),
        ({"direction": "over"}, "'over'"),
        ({"unit": " "}, "unit is empty"),
        ({"origin": "a hunch"}, "'a hunch'"),
        ({"exceptions": {"llava": math.nan}}, "llava"),
    ],
)
def test_a_malformed_threshold_is_refused_with_the_mistake(change, message):
    good = {"value": 0.4, "direction": "above", "unit": "r", "origin": STATED}
    with pytest.raises(ValueError, match=message):
        Threshold(**{**good, **change})


def test_the_paper_is_the_first_part_of_the_id():
    assert order().paper == "visual_symbols"


@pytest.mark.parametrize(
    "bad", ["", "order", "visual.order", "Visual.3.order", "a..b.c", "a.b.c.", "a.b-c.d", "a.b.c\n"]
)
def test_an_id_needs_three_plain_parts(bad):
    with pytest.raises(ValueError, match="at least three parts"):
        order(id=bad)


@pytest.mark.parametrize("good", ["a.b.c", "visual_symbols.3.3.order", "x1.2.y_z.w.v"])
def test_an_id_of_three_or_more_plain_parts_is_taken(good):
    assert order(id=good).id == good


@pytest.mark.parametrize(
    "change",
    [
        {"statement": "Position first"},
        {"statement": ""},
        {"statement": "."},
        {"statement": "Position first. "},
        {"statement": " Position first."},
        {"statement": "Position\nfirst."},
        {"source": " "},
        {"threshold": 0.0},
        {"published": {"qwen": math.inf}},
    ],
)
def test_a_malformed_claim_is_named(change):
    with pytest.raises(ValueError, match="visual_symbols.3.3.order"):
        order(**change)


def test_the_decorator_returns_the_same_function_with_its_claim():
    def check() -> str:
        return "ran"

    decorated = claim(**ORDER, published={"qwen": 3})(check)
    assert decorated is check
    assert check() == "ran"
    assert check.claim == order(published={"qwen": 3.0})


def test_the_decorator_refuses_a_malformed_claim_before_there_is_a_function():
    with pytest.raises(ValueError, match="ends with"):
        claim(**{**ORDER, "statement": "no full stop"})


def test_the_hash_is_a_fixed_sha256():
    # Written down so that a change of the canonical form, which would orphan stored runs, is seen.
    assert claims_hash([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert claims_hash([order()]) == (
        "46765d7e5631693ba22f82daccd91b5e3e04c5bdda166480a72579c70a0e11cf"
    )


@given(st.permutations(["a.b.c", "a.b.d", "b.a.c", "b.c.d"]))
def test_the_hash_does_not_depend_on_the_order_of_the_claims(ids):
    assert claims_hash(order(id=i) for i in ids) == claims_hash(order(id=i) for i in sorted(ids))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "visual_symbols.3.3.other"},
        {"statement": "Features come first."},
        {"source": "section 3.4"},
        {"threshold": above(1, unit="layers", origin=STATED)},
        {"threshold": below(0, unit="layers", origin=STATED)},
        {"threshold": above(0, unit="r", origin=STATED)},
        {"threshold": above(0, unit="layers", origin=ORIGINS[1])},
        {"threshold": above(0, unit="layers", origin=STATED, note="n")},
        {"threshold": above(0, unit="layers", origin=STATED, exceptions={"llava": 1})},
        {"published": {"qwen": 3}},
    ],
)
def test_the_hash_moves_with_every_field(change):
    assert claims_hash([order(**change)]) != claims_hash([order()])


def test_equal_claims_hash_alike():
    negative_zero = order(threshold=above(-0.0, unit="layers", origin=STATED))
    assert negative_zero == order()
    assert claims_hash([negative_zero]) == claims_hash([order()])


def test_the_same_id_twice_is_refused():
    with pytest.raises(ValueError, match="visual_symbols.3.3.order is declared twice"):
        claims_hash([order(), order(statement="Another sentence.")])
