from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ttest_1samp

from harness.measures.mediation import (
    bound_heads,
    choose_best_head,
    compute_listing_chance,
    count_shared_heads,
    find_top_heads,
    median_layer,
    mediation_score,
    merge_equals,
    merge_sizes,
    order_heads,
)

logits = arrays(float, (3, 2), elements=st.floats(-50, 50))
matrices = arrays(float, (4, 5), elements=st.integers(-9, 9).map(float))


# Equation 1


def test_the_score_is_the_change_of_the_logit_difference():
    # (M(c1*)[a1*] - M(c1*)[a1]) - (M(c1)[a1*] - M(c1)[a1]), written out.
    assert mediation_score([7.0, 4.0], [1.0, 6.0]) == pytest.approx((7 - 4) - (1 - 6))


@given(logits)
def test_a_patch_that_changes_nothing_scores_zero(clean):
    assert (mediation_score(clean, clean) == 0).all()


@given(logits, logits)
def test_exchanging_the_answers_turns_the_sign(patched, clean):
    score = mediation_score(patched, clean)
    assert mediation_score(patched[:, ::-1], clean[:, ::-1]) == pytest.approx(-score, abs=1e-12)


@given(logits, logits, st.floats(-50, 50))
def test_a_shift_of_all_logits_of_a_run_does_not_count(patched, clean, shift):
    score = mediation_score(patched, clean)
    assert mediation_score(patched + shift, clean) == pytest.approx(score, abs=1e-9)


def test_one_clean_run_serves_all_heads():
    rng = np.random.default_rng(0)
    patched, clean = rng.normal(size=(4, 3, 6, 2)), rng.normal(size=(6, 2))
    found = mediation_score(patched, clean)
    assert found.shape == (4, 3, 6)
    assert found[2, 1, 5] == pytest.approx(mediation_score(patched[2, 1, 5], clean[5]))


def test_scores_of_single_precision_logits_are_computed_in_double():
    patched, clean = np.float32([1e6, 0.1]), np.float32([1e6, 0.2])
    assert mediation_score(patched, clean).dtype == np.float64
    assert mediation_score(patched, clean) == pytest.approx(0.1, rel=1e-6)


def test_logits_that_are_not_of_two_answers_are_refused():
    with pytest.raises(ValueError, match="patched"):
        mediation_score(np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="clean"):
        mediation_score(np.ones((4, 2)), np.ones(4))


# Top heads


def test_heads_are_listed_from_the_highest_score_down():
    scores = [[0.1, 0.9, 0.0], [0.5, -0.7, 0.3]]
    assert find_top_heads(scores, k=3) == [(0, 1), (1, 0), (1, 2)]


@given(matrices, st.integers(0, 25))
def test_top_heads_agree_with_sorting_by_score_layer_and_head(scores, k):
    order = sorted(np.ndindex(4, 5), key=lambda h: (-scores[h], *h))
    tied = {scores[h] for h in order[:k]} & {scores[h] for h in order[k:]}
    listed = [h for h in order[:k] if scores[h] not in tied]
    expected = [h for h in listed if scores[h] > 0 and scores[h] >= 0.1 * scores.max()]
    assert find_top_heads(scores, k) == expected


@given(matrices, st.integers(0, 25), st.randoms())
def test_no_list_depends_on_how_heads_are_numbered(scores, k, lot):
    heads = list(np.ndindex(4, 5))
    renamed = heads[:]
    lot.shuffle(renamed)
    moved = np.zeros((4, 5))
    for old, new in zip(heads, renamed, strict=True):
        moved[new] = scores[old]
    name = dict(zip(heads, renamed, strict=True))
    assert {name[h] for h in find_top_heads(scores, k)} == set(find_top_heads(moved, k))


def test_a_list_ends_before_heads_with_equal_scores_that_it_could_not_hold_all():
    # As in the reproduction's scores of Qwen2.5-VL-32B: steps of 1/32, and many heads at the cut.
    scores = np.zeros((64, 40))
    scores[41, :3] = np.array([9, 8, 7]) / 32
    scores[::8, 10:24] = 2 / 32
    assert find_top_heads(scores, 10) == [(41, 0), (41, 1), (41, 2)]
    assert median_layer(find_top_heads(scores, 10)) == 41
    assert len(find_top_heads(scores, scores.size)) == 3 + 8 * 14
    assert find_top_heads([[1.0, 1.0, 1.0]], k=2) == []


@given(matrices, st.integers(0, 25))
def test_the_chance_to_be_listed_is_that_of_a_random_order_of_equals(scores, k):
    chance = compute_listing_chance(scores, k)
    assert chance.sum() == pytest.approx(min(k, scores.size))
    for value in np.unique(scores):
        assert np.ptp(chance[scores == value]) == 0
        above = (scores > value).sum()
        if above >= k:
            assert (chance[scores == value] == 0).all()
    certain = {(int(a), int(b)) for a, b in np.argwhere((chance == 1) & (scores > 0))}
    assert set(find_top_heads(scores, k, share=0)) == certain


def test_the_upper_limit_of_a_head_is_students():
    x = np.random.default_rng(0).normal(size=(30, 2, 3))
    found = bound_heads(x, np.arange(30).astype(str), 0.95)
    expected = ttest_1samp(x, 0).confidence_interval(0.95).high
    assert found == pytest.approx(expected)
    doubled = bound_heads(np.repeat(x, 2, 0), np.repeat(np.arange(30), 2).astype(str), 0.95)
    assert doubled == pytest.approx(expected)
    assert np.isinf(bound_heads(x[:2], np.array(["a", "a"]), 0.95)).all()


def test_the_list_stops_below_a_share_of_the_highest_score():
    assert find_top_heads([[2.0, 0.2, 0.19]]) == [(0, 0), (0, 1)]
    assert find_top_heads([[0.2, 0.19], [0.1, 2.0]]) == [(1, 1), (0, 0)]
    assert find_top_heads([[2.0, 0.2, 0.19]], share=0.5) == [(0, 0)]
    assert find_top_heads([[2.0, 0.2, 0.001]], share=0) == [(0, 0), (0, 1), (0, 2)]


def test_heads_without_a_positive_score_are_never_listed():
    assert find_top_heads([[1.0, 0.0, -1.0]], share=0) == [(0, 0)]
    assert find_top_heads([[0.0, -1.0]]) == []
    assert find_top_heads([[-2.0, -1.0]], share=0.5) == []


@given(matrices, st.integers(1, 10))
def test_scaling_the_scores_changes_no_list(scores, k):
    assert find_top_heads(4 * scores, k) == find_top_heads(scores, k)


@given(matrices, st.integers(0, 25), st.integers(0, 99))
def test_rounding_changes_no_list_and_no_order(scores, k, seed):
    noise = np.random.default_rng(seed).uniform(-1e-7, 1e-7, scores.shape) * np.abs(scores).max()
    assert find_top_heads(scores + noise, k, share=0) == find_top_heads(scores, k, share=0)
    assert order_heads(merge_equals(scores + noise)) == order_heads(merge_equals(scores))


def test_numbers_that_hang_together_are_the_largest_of_them_and_those_at_nothing_are_nothing():
    numbers = np.array([[1.0, 1.00001, 0.5], [1e-9, -1e-9, -0.5]])
    assert merge_equals(numbers).tolist() == [[1.00001, 1.00001, 0.5], [0, 0, -0.5]]
    assert merge_equals([[0.1, 0.2, 0.4]], apart=0.15).tolist() == [[0, 0, 0.4]]
    assert merge_equals([]).tolist() == []


def test_sizes_are_equal_by_their_ratio():
    sizes = merge_sizes([[100.0, 0.01, 0.01 * (1 + 1e-6), 0.011, 0.0]])[0]
    assert sizes[1] == sizes[2] < sizes[3]
    assert sizes[4] == sizes.min()
    assert merge_sizes([[0.0, 0.0]]).tolist() == [[0, 0]]


def test_equal_heads_are_ordered_by_what_comes_next():
    first, then = np.array([[1.0, 1.0, 2.0]]), np.array([[0.0, 3.0, 0.0]])
    assert order_heads(first, then) == [(0, 2), (0, 1), (0, 0)]
    assert find_top_heads(first, 3, then=[then]) == [(0, 2), (0, 1), (0, 0)]


def test_the_best_of_equal_heads_is_the_same_whatever_their_numbers():
    rng = np.random.default_rng(0)
    scores, scenes = rng.integers(-1, 2, (40, 1, 6)).astype(float), np.arange(40).astype(str)
    # All have the same mean on whatever half is chosen by.
    first, _ = choose_best_head(scores, scenes)
    scores[first] -= scores[first].mean(0)
    scores += 1e-9 * rng.normal(size=scores.shape)
    order = rng.permutation(6)
    _, (_, own) = choose_best_head(scores, scenes)
    _, (_, theirs) = choose_best_head(scores[:, :, order], scenes)
    assert order[theirs] == own


def test_heads_are_plain_numbers():
    ((layer, head),) = find_top_heads([[1.0]])
    assert (type(layer), type(head)) == (int, int)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        find_top_heads([[1.0, bad]])


def test_scores_that_are_not_a_matrix_of_heads_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        find_top_heads([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="-1"):
        find_top_heads([[1.0]], k=-1)


# Sets of heads


def test_the_median_layer_is_that_of_the_layers_alone():
    assert median_layer([(3, 30), (9, 1), (4, 12)]) == 4
    assert median_layer([(3, 0), (4, 0)]) == 3.5
    assert math.isnan(median_layer([]))


def test_shared_heads_are_those_of_the_same_layer_and_head():
    assert count_shared_heads([(1, 2), (3, 4), (5, 6)], [(3, 4), (2, 1), (5, 7)]) == 1
    assert count_shared_heads([], [(1, 2)]) == 0
    assert count_shared_heads([(1, 2), (1, 2)], [(1, 2), (1, 2)]) == 1
