"""Rival explanations are scored by what they predict, and only where trials tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measures.rivals import Rivals

NAMES = ("relative", "absolute", "copying")
WORDS = st.sampled_from(["red", "blue", "green", ""])
TRIALS = st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=30)


def make(said: Sequence[str], predicted: Sequence[Sequence[str]], names=NAMES) -> Rivals:
    keys = np.arange(len(said)).astype(str)
    return Rivals(np.array(said), np.array(predicted), tuple(names), keys)


@given(TRIALS)
def test_a_comparison_counts_the_trials_that_tell_two_explanations_apart(trials):
    said, *predicted = zip(*trials, strict=True)
    found = make(said, predicted).compare("relative", "absolute")
    apart = [(s, a, b) for s, a, b, _ in trials if a and b and a != b]
    if not apart:
        assert found is None
        return
    assert found.n == len(apart)
    assert found.value == pytest.approx(sum((s == a) - (s == b) for s, a, b in apart) / len(apart))
    assert found.evidence.values.mean() == pytest.approx(found.value)


@given(TRIALS)
def test_an_explanation_is_right_only_where_it_predicts_a_word(trials):
    said, *predicted = zip(*trials, strict=True)
    found = make(said, predicted).explained("copying")
    asked = [(s, c) for s, *_, c in trials if c]
    assert found.applies == bool(asked)
    if asked:
        assert found.value == pytest.approx(np.mean([s == c for s, c in asked]))


@given(TRIALS)
def test_the_lead_is_over_the_best_rival(trials):
    said, *predicted = zip(*trials, strict=True)
    rivals = make(said, predicted)
    apart = rivals.compare_all("relative")
    lead = rivals.lead()
    assert lead.applies == bool(apart)
    if apart:
        assert lead.value == apart[rivals.best_rival()].value
        assert lead.n in {e.n for e in apart.values() if e.value == lead.value}
        assert lead.clusters == min(e.clusters for e in apart.values())


def test_a_rival_that_always_predicts_the_same_word_is_none():
    rivals = make(["red"] * 40, [["red"] * 40, ["red"] * 40, ["blue"] * 40])
    assert list(rivals.compare_all("relative")) == ["copying"]
    assert rivals.lead().interval(0.95)[0] > 0.8
    assert (
        rivals.lead(over=["absolute"]).reason == "no trial tells relative from another explanation"
    )


def test_an_answer_that_is_given_without_an_edit_is_no_sign_of_the_edit():
    """Half of the answers are as predicted without an edit, and none moves."""
    before = ["red", "blue"] * 30
    predicted = [["red"] * 60, ["green"] * 60, before]
    rivals = make(before, predicted, ["relative", "absolute", "nothing"])
    assert rivals.explained("relative").value == 0.5
    found = rivals.compare("relative", "absolute")
    assert (found.value, found.n) == (0, 30)
    assert rivals.lead().interval(0.95)[1] < 0
    always = make(["red"] * 60, [["red"] * 60, ["green"] * 60, ["red"] * 60], rivals.names)
    assert not always.lead().applies


def test_intervals_of_a_lead_over_equal_rivals_hold_it_and_rarely_lie_above_it():
    """Four explanations are right equally often, so that none leads: whichever looks best is so by chance."""
    rng = np.random.default_rng(5)
    words, trials, runs = np.array(["red", "blue", "green", "pink"]), 60, 250
    predicted = np.repeat(words[:3, None], trials, 1)
    held = above = 0
    for _ in range(runs):
        said = words[rng.integers(4, size=trials)]
        scenes = rng.integers(40, size=trials).astype(str)
        low, high = Rivals(said, predicted, NAMES, scenes).lead().interval(0.95)
        held += low <= 0 <= high
        above += low > 0
    assert held >= 0.94 * runs
    assert above <= 0.025 * runs


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="predictions of shape"):
        Rivals(np.array(["red"]), np.array([["red"]]), NAMES, np.array(["a"]))
