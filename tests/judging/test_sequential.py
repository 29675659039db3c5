"""Looks at growing numbers of trials: never wrong more often than one look, and far fewer trials."""

from __future__ import annotations

import numpy as np
import pytest

from harness.judging.claim import above
from harness.judging.sequential import (
    ERROR,
    LOOKS,
    SHARES,
    SPENT,
    confidence,
    inflated,
    looking,
    settled,
    trials_now,
)
from harness.judging.stats import mean, proportion
from harness.judging.verdict import decide

HALF = above(0.5, unit="share", origin="stated in the paper")


def test_the_looks_share_out_one_error():
    assert sum(SPENT) == pytest.approx(ERROR)
    assert len(SPENT) == len(SHARES) == LOOKS
    assert sorted(SHARES) == list(SHARES)
    assert SHARES[-1] == 1


def test_outside_a_look_nothing_differs():
    assert confidence() == 0.95
    assert trials_now(200, 24) == 200
    assert inflated(0.0123456789) == 0.0123456789


def test_within_a_look_trials_are_fewer_and_intervals_wider():
    right = np.arange(60) < 40
    usual = proportion(right, range(60))
    for look, wanted in enumerate((32, 80, 200)):
        with looking(look):
            assert trials_now(200, 24) == wanted
            assert trials_now(50, 24) >= 24
            assert trials_now(10, 24) == 10
            early = proportion(right, range(60))
            assert early.low < usual.interval(0.95)[0]
            # p below one half of all error exactly when the look's interval says so.
            p = inflated(early.p_value(0.5, "above"))
            assert (p < ERROR / 2) == (early.low > 0.5)
    assert usual.low == usual.interval(0.95)[0]


def test_what_settles_a_look():
    assert settled("supported", 0.001, has_value=True)
    assert not settled("supported", 0.02, has_value=True), "correction would lose it"
    assert settled("refuted", 1.0, has_value=True)
    assert not settled("inconclusive", 0.2, has_value=True)
    assert not settled("not_applicable", None, has_value=True), "read off a few trials"
    for final in ("blocked", "error", "not_run", "not_applicable"):
        assert settled(final, None, has_value=False)


def auto(draw, rng, whole=200):
    """The verdict of looks at trials of their own, and how many were asked in all."""
    asked = 0
    for look in range(LOOKS):
        with looking(look):
            n = trials_now(whole, 24)
            estimate = draw(n, rng)
            verdict = decide(estimate, HALF, "s").verdict
            asked += n
            if look == LOOKS - 1 or settled(
                verdict, inflated(estimate.p_value(0.5, "above")), has_value=True
            ):
                return verdict, asked
    raise AssertionError


def shares(truth):
    return lambda n, rng: proportion(rng.random(n) < truth, range(n))


def scores(truth):
    """Scores with a long tail, two to a scene."""

    def draw(n, rng):
        values = rng.gamma(2, size=n) - 2 + truth + 0.5 * rng.normal(size=n // 2).repeat(2)[:n]
        return mean(values, np.arange(n) // 2)

    return draw


@pytest.mark.parametrize("draw", [shares(0.5), scores(0.5)], ids=["shares", "scores"])
def test_at_the_threshold_a_verdict_is_as_rare_as_at_one_look(draw):
    rng = np.random.default_rng(1)
    found = [auto(draw, rng)[0] for _ in range(2000)]
    for side in ("supported", "refuted"):
        # 2.5% each; 2000 runs tell that from 4%, and single long-tailed intervals miss up to 3.5%.
        assert found.count(side) / len(found) <= 0.035


@pytest.mark.parametrize("truth", [0.1, 0.9])
def test_far_from_the_threshold_the_verdict_is_the_same_for_a_sixth_of_the_trials(truth):
    rng = np.random.default_rng(2)
    runs = [auto(shares(truth), rng) for _ in range(500)]
    wanted = "supported" if truth > 0.5 else "refuted"
    assert np.mean([v == wanted for v, _ in runs]) >= 0.99
    assert np.mean([n for _, n in runs]) <= 0.2 * 200


def test_near_the_threshold_it_agrees_with_all_trials():
    rng = np.random.default_rng(3)
    agree = 0
    for _ in range(500):
        truth = rng.choice([0.3, 0.4, 0.6, 0.7, 0.8])
        whole = decide(shares(truth)(200, rng), HALF, "s").verdict
        agree += auto(shares(truth), rng)[0] == whole
    # The two ask different trials, and 0.4 and 0.6 are settled by 200 of them in four of five cases only.
    assert agree / 500 >= 0.80
