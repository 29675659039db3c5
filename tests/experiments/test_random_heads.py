"""Random heads: as many as the given ones, none of these, in the same layers, another draw for other scenes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.experiments.other_heads import OtherHeads
from harness.experiments.random_heads import DRAWS, RandomHeads
from harness.statistics.estimate import MINIMUM_CLUSTERS

EVERY = [(layer, head) for layer in range(6) for head in range(4)]
OTHERS = OtherHeads(np.tile(np.arange(4), (6, 1)), np.zeros((6, 4)), tuple(EVERY))
CHOSEN = st.lists(st.sampled_from(EVERY), min_size=1, max_size=12, unique=True)


def deal(heads, scenes, seed=0):
    return RandomHeads.deal(heads, OTHERS, np.array(scenes), np.random.default_rng(seed))


@given(CHOSEN, st.integers(0, 99))
def test_every_set_has_as_many_other_heads(heads, seed):
    for drawn in deal(heads, [f"s{i}" for i in range(30)], seed).sets:
        assert len(set(drawn)) == len(drawn) == len(heads)
        assert not set(drawn) & set(heads)


@given(CHOSEN, st.integers(0, 99))
def test_layers_that_have_enough_others_give_as_many_as_they_lost(heads, seed):
    lost = np.bincount([layer for layer, _ in heads], minlength=6)
    for drawn in deal(heads, ["a", "b"], seed).sets:
        given_ = np.bincount([layer for layer, _ in drawn], minlength=6)
        if lost.max() <= 2:
            assert given_.tolist() == lost.tolist()
        else:
            assert (given_ >= np.minimum(lost, 4 - lost)).all()


@given(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789"), min_size=1, max_size=80))
def test_all_trials_of_a_scene_share_a_draw_and_draws_are_enough_for_an_interval(scenes):
    found = deal([(2, 1)], scenes)
    pairs = set(zip(scenes, found.draws.tolist(), strict=True))
    assert len(pairs) == len(set(scenes))
    assert set(found.draws.tolist()) == set(range(len(found.sets)))
    assert len(found.sets) == min(DRAWS, len(set(scenes)))
    assert DRAWS >= 2 * MINIMUM_CLUSTERS


def test_each_trial_is_answered_with_its_own_heads():
    found = deal([(2, 1)], [f"s{i}" for i in range(50)])
    right = found.ask(range(50), lambda items, heads: np.array([heads == [(2, 0)] for _ in items]))
    assert right.tolist() == [found.sets[draw] == [(2, 0)] for draw in found.draws]
    assert 0 < right.sum() < 50
