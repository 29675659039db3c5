"""The first setting that is as good as the best one: properties, and how seldom it jumps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.statistics.choice import choose_as_good
from harness.statistics.shares import subtract_shares

TABLES = hnp.arrays(bool, st.tuples(st.integers(1, 5), st.integers(2, 40)), elements=st.booleans())


@given(TABLES)
def test_what_is_chosen_is_the_best_setting_or_stands_before_it(won):
    chosen = choose_as_good(won, range(won.shape[1]))
    assert chosen <= won.mean(1).argmax()


@given(TABLES)
def test_what_is_chosen_is_within_one_standard_error_of_the_best(won):
    """McNemar's statistic, which is the square of the difference over its error, is one at most."""
    items = won.shape[1]
    chosen, best = won[choose_as_good(won, range(items))], won[won.mean(1).argmax()]
    lost, gained = int((best & ~chosen).sum()), int((chosen & ~best).sum())
    assert (lost - gained) ** 2 <= (lost + gained) * 1.001


@given(TABLES)
def test_nothing_before_what_is_chosen_is_as_good(won):
    items = range(won.shape[1])
    best = won[won.mean(1).argmax()]
    for worse in won[: choose_as_good(won, items)]:
        assert subtract_shares(best, worse, items).interval(0.6827)[0] > 0


@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_items_changes_nothing(won, random):
    order = list(range(won.shape[1]))
    random.shuffle(order)
    assert choose_as_good(won[:, order], order) == choose_as_good(won, range(len(order)))


def test_copies_of_a_scene_are_no_further_proof_that_a_setting_is_worse():
    """One scene of ten is lost, which is one error; eight trials of each scene make no more of it."""
    best, other = np.ones(10, bool), np.ones(10, bool)
    other[:1] = False
    assert choose_as_good([other, best], range(10)) == 0
    many = np.repeat([other, best], 8, axis=1)
    assert choose_as_good(many, np.repeat(np.arange(10), 8)) == 0
    assert choose_as_good(many, range(80)) == 1, "as scenes of their own they are proof"


def test_settings_that_never_succeed_leave_the_first():
    assert choose_as_good(np.zeros((3, 12), bool), range(12)) == 0


@pytest.mark.parametrize("wrong", [np.zeros((0, 4), bool), np.zeros((2, 0), bool), [True, False]])
def test_a_table_without_settings_or_items_is_refused(wrong):
    with pytest.raises(ValueError, match="at least one of each"):
        choose_as_good(wrong, range(4))


def test_equals_are_chosen_alike_with_other_scenes_where_the_best_one_jumps():
    """Three settings succeed in 98 of 100 and one does not: over 200 seeds one is taken, not three."""
    chances = np.array([0.6, 0.98, 0.98, 0.98])
    drawn = [np.random.default_rng(seed).random((4, 72)) < chances[:, None] for seed in range(200)]
    chosen = [choose_as_good(won, range(72)) for won in drawn]
    most = [int(won.mean(1).argmax()) for won in drawn]
    assert 0 not in chosen
    assert chosen.count(1) > 160 > most.count(1), "four of five"
