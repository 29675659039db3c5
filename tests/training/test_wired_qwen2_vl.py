"""Heads that share a key do what they would do alone, and a tower without positions finds places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import AutoConfig

from harness.subjects.registry import FIXTURES
from harness.training.wired import qwen2_vl
from harness.training.wired.heads import HEAD_DIM, Match, WiredHead, weigh_group
from harness.training.wired.marks import can_pull, solve_pulls
from harness.training.wired.plans import PLANS
from harness.training.wired.slots import read_constant, read_slot


def test_heads_that_share_a_key_look_and_bring_as_they_would_alone():
    looks = (Match(read_slot("said_color"), read_slot("seen_color"), 8),)
    heads = [
        WiredHead(0, 0, looks=looks, brings=((read_slot("seen_place"), read_slot("found_place")),)),
        WiredHead(0, 1, looks=looks, rest=1, brings=((read_constant(), read_constant()),)),
        WiredHead(0, 2, offset=1, brings=((read_slot("named_shape"), read_slot("before_shape")),)),
    ]
    group = weigh_group(heads)
    for head, query, output in zip(heads, group.queries, group.outputs, strict=True):
        alone = weigh_group([head])
        # Which dimension holds a row does not matter: scores and what is brought are sums over all.
        assert np.allclose(query.T @ group.key, alone.queries[0].T @ alone.key)
        assert np.allclose(output @ group.value, alone.outputs[0] @ alone.value)


def test_heads_that_share_a_key_have_no_more_room_than_one():
    place = (read_slot("seen_place"), read_slot("found_place"))
    same = [WiredHead(0, i, brings=(place, place)) for i in range(2)]
    weigh_group(same)
    other = (read_slot("seen_shape"), read_slot("answer_shape"))
    with pytest.raises(ValueError, match=f"bring at most {HEAD_DIM} things"):
        weigh_group([*same, WiredHead(0, 2, brings=(other,))])


def test_planted_heads_share_a_key_head_in_some_stages_and_not_in_others():
    text = AutoConfig.from_pretrained(FIXTURES / "controls" / "planted-qwen").text_config
    shared = text.num_attention_heads // text.num_key_value_heads
    heads = PLANS["planted-qwen"].truth()["heads"]
    keys = {stage: {head // shared for _, head in heads[stage]} for stage in heads}
    assert {stage: len(found) for stage, found in keys.items()} == {
        "id_retrieval": 1,
        "id_selection": 2,
        "feature_retrieval": 2,
    }


def test_a_tower_without_absolute_positions_refuses_absolute_places():
    with pytest.raises(ValueError, match="no absolute positions"):
        qwen2_vl.write_sight(qwen2_vl.build(), relative=False, seed=0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=4))
def test_marks_that_can_pull_find_the_middle_wherever_they_are_seen_from(marks):
    assume(can_pull(marks))
    pulls = solve_pulls(marks)
    for far in (-9.0, 0.5, 7.0):
        # What a head adds up is of second order in the distance: the middle is at 1.5, the viewer at 1.5 - far.
        for axis, pull in ((1, pulls[:, 0]), (0, pulls[:, 1])):
            distance = np.array([mark[axis] for mark in marks]) - 1.5 + far
            assert np.isclose((pull * distance**2).sum() / 2, far)
