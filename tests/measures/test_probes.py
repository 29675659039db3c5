"""Labels by the nearest class mean and by ridge regression, against slow loops and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from similarities import seeds
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestCentroid

from harness.measures.probes import (
    STRENGTHS,
    deal_folds,
    label_by_nearest_mean,
    label_by_ridge,
    label_held_out,
    shuffle_by_scene,
)
from harness.measures.similarity import cosine_rsm, rsa


def slow(known, labels, unknown):
    middle = np.mean(known, axis=0)
    means = {
        label: np.mean([x for x, y in zip(known, labels, strict=True) if y == label], axis=0)
        for label in sorted(set(labels))
    }
    return [
        int(min(means, key=lambda label: cosine(means[label] - middle, x - middle)))
        for x in unknown
    ]


def activations(seed, n=30, classes=4, d=6):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    centres = rng.normal(size=(classes, d))
    return centres[labels] + rng.normal(size=(n, d)) + 5, labels, rng.normal(size=(20, d)) + 5


@given(seeds, st.integers(2, 6))
def test_labels_agree_with_a_slow_loop_over_cosines(seed, classes):
    known, labels, unknown = activations(seed, classes=classes)
    assert label_by_nearest_mean(known, labels, unknown).tolist() == slow(known, labels, unknown)


@given(seeds)
def test_two_labels_of_the_same_number_agree_with_scikit_learn(seed):
    # The two means lie opposite each other, as far from the middle, so cosine and distance agree.
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 10)
    known = rng.normal(size=(20, 5)) + labels[:, None]
    unknown = rng.normal(size=(40, 5)) + 0.5
    oracle = NearestCentroid().fit(known, labels).predict(unknown)
    assert label_by_nearest_mean(known, labels, unknown).tolist() == oracle.tolist()


def test_well_separated_classes_agree_with_scikit_learn_and_with_the_truth():
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(5), 8)
    centres = 10 * np.eye(5)
    known, unknown = (centres[labels] + rng.normal(size=(40, 5)) for _ in range(2))
    oracle = NearestCentroid().fit(known, labels).predict(unknown)
    assert (
        label_by_nearest_mean(known, labels, unknown).tolist() == oracle.tolist() == labels.tolist()
    )


@given(seeds, st.floats(0.01, 100), st.floats(-100, 100))
def test_a_common_scale_and_shift_change_no_label(seed, scale, shift):
    known, labels, unknown = activations(seed)
    moved = label_by_nearest_mean(scale * known + shift, labels, scale * unknown + shift)
    assert moved.tolist() == label_by_nearest_mean(known, labels, unknown).tolist()


@given(seeds)
def test_the_size_of_a_class_mean_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    small, large = np.array([1.0, 0.0]), np.array([0.0, 50.0])
    known = np.array([small, -small, large, -large])
    unknown = rng.normal(size=(10, 2))
    found = label_by_nearest_mean(known, [0, 1, 2, 3], unknown)
    horizontal = np.abs(unknown[:, 0]) > np.abs(unknown[:, 1])
    assert (np.isin(found, (0, 1)) == horizontal).all()


def test_labels_are_those_given_as_whole_numbers():
    found = label_by_nearest_mean([[1, 0], [-1, 0], [1, 0]], [7, -3, 7], [[2, 1], [-2, 1]])
    assert found.dtype == np.int64
    assert found.tolist() == [7, -3]


def test_ties_go_to_the_smaller_label():
    known = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    assert label_by_nearest_mean(known, [9, 4, 6, 5], [[1.0, 1.0], [0.0, 0.0]]).tolist() == [4, 4]


def test_half_precision_activations_are_computed_in_double():
    known, labels, unknown = activations(3, d=200)
    half = known.astype(np.float16), unknown.astype(np.float16)
    expected = label_by_nearest_mean(half[0].astype(float), labels, half[1].astype(float))
    assert label_by_nearest_mean(half[0], labels, half[1]).tolist() == expected.tolist()


def test_classes_with_one_mean_are_labelled_without_a_warning(recwarn):
    found = label_by_nearest_mean(np.ones((4, 3)), [0, 0, 1, 1], np.ones((2, 3)))
    assert found.tolist() == [0, 0]
    assert not recwarn.list


def test_nothing_to_label_gets_no_label():
    assert label_by_nearest_mean([[0.0], [1.0]], [0, 1], np.empty((0, 1))).shape == (0,)


@pytest.mark.parametrize(
    ("known", "labels", "unknown", "complaint"),
    [
        (np.ones((4, 3)), [0, 1, 0], np.ones((2, 3)), r"\(4, 3\) with labels \(3,\)"),
        (np.ones((4, 3)), [0, 1, 0, 1], np.ones((2, 2)), r"\(2, 2\) to label"),
        (np.ones(4), [0, 1, 0, 1], np.ones((2, 2)), r"activations \(4,\)"),
        (np.ones((4, 3)), [0, 1, 0, 1], np.ones(3), r"\(3,\) to label"),
        (np.ones((4, 3)), [2, 2, 2, 2], np.ones((2, 3)), "nothing to tell apart"),
        (np.empty((0, 3)), [], np.ones((2, 3)), "nothing to tell apart"),
    ],
)
def test_activations_and_labels_that_do_not_fit_are_refused(known, labels, unknown, complaint):
    with pytest.raises(ValueError, match=complaint):
        label_by_nearest_mean(known, labels, unknown)


# Ridge regression


def regress(known, labels, unknown, strength):
    """What scikit-learn labels, with the penalty worked out by singular values."""
    classes = np.unique(labels)
    penalty = strength * (np.linalg.svd(known - known.mean(0))[1] ** 2).sum() / len(known)
    fitted = Ridge(penalty).fit(known, labels[:, None] == classes)
    return classes[fitted.predict(unknown).argmax(1)].tolist()


@given(seeds, st.integers(2, 6), st.sampled_from(STRENGTHS), st.sampled_from([4, 60]))
def test_ridge_agrees_with_scikit_learn_with_few_dimensions_and_with_many(
    seed, classes, strength, d
):
    known, labels, unknown = activations(seed, classes=classes, d=d)
    middle, spread = known.mean(0), known.std(0)
    oracle = regress((known - middle) / spread, labels, (unknown - middle) / spread, strength)
    assert label_by_ridge(known, labels, unknown, strength).tolist() == oracle


@given(seeds, st.integers(2, 5), st.sampled_from([4, 60]))
def test_each_fold_is_labelled_as_scikit_learn_does_that_learned_on_the_others(seed, folds, d):
    known, labels, _ = activations(seed, d=d)
    parts = np.random.default_rng(seed).permutation(np.arange(len(labels)) % folds)
    scaled = (known - known.mean(0)) / known.std(0)
    found = label_held_out(known, labels, parts)
    for strength, row in zip(STRENGTHS, found, strict=True):
        for part in range(folds):
            out = parts == part
            oracle = regress(scaled[~out], labels[~out], scaled[out], strength)
            assert row[out].tolist() == oracle


def test_separable_labels_are_all_read_and_shuffled_ones_by_chance():
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(4), 100)
    states = 3 * rng.normal(size=(4, 500))[labels] + rng.normal(size=(400, 500))
    folds = deal_folds(np.arange(400), 5, rng)
    assert (label_held_out(states, labels, folds) == labels).all()
    shuffled = [rng.permutation(labels) for _ in range(10)]
    right = [(label_held_out(states, one, folds, (0.1,)) == one).mean() for one in shuffled]
    assert np.mean(right) == pytest.approx(0.25, abs=0.03)


def test_a_code_under_large_common_variance_is_read_though_similarity_misses_it():
    rng = np.random.default_rng(1)
    n, d = 240, 400
    labels = rng.integers(0, 4, n)
    xy = np.stack([labels // 2, labels % 2], 1).astype(float)
    loud = 30 * rng.normal(size=(n, 20)) @ rng.normal(size=(20, d))
    states = loud + 4 * (xy - 0.5) @ rng.normal(size=(2, d)) + 0.3 * rng.normal(size=(n, d))
    truth = 1 - np.linalg.norm(xy[:, None] - xy[None], axis=-1) / np.sqrt(2)
    assert rsa(cosine_rsm(states)[None], truth[None]) < 0.02
    folds = deal_folds(np.arange(n), 5, rng)
    assert (label_held_out(states, labels, folds) == labels).mean(1).max() > 0.95


@given(seeds, st.floats(0.01, 100), st.floats(-10, 10))
def test_the_scale_and_origin_of_a_dimension_change_no_label(seed, scale, shift):
    known, labels, unknown = activations(seed)
    sizes = np.r_[scale, np.ones(5)]
    moved = label_by_ridge(known * sizes + shift, labels, unknown * sizes + shift, 0.1)
    assert moved.tolist() == label_by_ridge(known, labels, unknown, 0.1).tolist()


@given(seeds)
def test_what_differs_by_rounding_alone_changes_no_label(seed):
    known, labels, unknown = activations(seed)
    code = labels[:, None] * 1e-8 + 1
    more = np.hstack([known, np.ones((30, 1)), code]), np.hstack([unknown, np.ones((20, 2))])
    found = label_by_ridge(more[0], labels, more[1], 0.1)
    assert found.tolist() == label_by_ridge(known, labels, unknown, 0.1).tolist()


@given(seeds, st.integers(1, 4))
def test_several_sets_of_labels_are_learned_as_each_is_alone(seed, sets):
    known, labels, unknown = activations(seed)
    rng = np.random.default_rng(seed)
    given_labels = np.array([rng.permutation(labels) for _ in range(sets)])
    together = label_by_ridge(known, given_labels, unknown, 0.1)
    alone = [label_by_ridge(known, one, unknown, 0.1) for one in given_labels]
    assert together.tolist() == np.array(alone).tolist()


def test_states_without_any_difference_get_the_most_frequent_label():
    assert label_by_ridge(np.ones((3, 2)), [5, 7, 7], np.ones((2, 2)), 1.0).tolist() == [7, 7]


@pytest.mark.parametrize(
    ("known", "labels", "unknown", "strength", "complaint"),
    [
        (np.ones((4, 3)), [0, 1, 0], np.ones((2, 3)), 1.0, r"\(4, 3\) with labels \(3,\)"),
        (np.ones((4, 3)), [0, 1, 0, 1], np.ones((2, 2)), 1.0, r"\(2, 2\) to label"),
        (np.ones((4, 3)), [0, 1, 0, 1], np.ones((2, 3)), 0.0, "above 0"),
        (np.empty((0, 3)), [], np.ones((2, 3)), 1.0, "no item"),
    ],
)
def test_a_ridge_that_cannot_be_fitted_is_refused(known, labels, unknown, strength, complaint):
    with pytest.raises(ValueError, match=complaint):
        label_by_ridge(known, labels, unknown, strength)


def test_a_single_fold_and_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="fewer than two folds"):
        label_held_out(np.ones((4, 3)), [0, 1, 0, 1], [0, 0, 0, 0])
    with pytest.raises(ValueError, match=r"in folds \(3,\)"):
        label_held_out(np.ones((4, 3)), [0, 1, 0, 1], [0, 0, 1])


scenes_of_items = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40)


@given(scenes_of_items, st.integers(2, 6), seeds)
def test_all_items_of_a_scene_are_in_one_fold_and_folds_are_as_equal_as_can_be(scenes, folds, seed):
    dealt = deal_folds(scenes, folds, np.random.default_rng(seed))
    pairs = {(s, int(f)) for s, f in zip(scenes, dealt, strict=True)}
    assert len(pairs) == len(set(scenes))
    sizes = np.bincount([f for _, f in pairs], minlength=folds)
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= 1


@given(scenes_of_items, seeds)
def test_shuffling_keeps_all_rows(scenes, seed):
    rows = np.arange(2 * len(scenes)).reshape(-1, 2)
    dealt = shuffle_by_scene(rows, scenes, np.random.default_rng(seed))
    assert sorted(dealt.tolist()) == rows.tolist()


@given(st.integers(1, 8), st.integers(1, 4), seeds)
def test_what_one_scene_says_goes_to_one_scene_together(count, size, seed):
    rng = np.random.default_rng(seed)
    scenes = rng.permutation(np.repeat(np.arange(count), size))
    dealt = shuffle_by_scene(scenes, scenes, rng)
    given_to = {(int(a), int(b)) for a, b in zip(scenes, dealt, strict=True)}
    assert len(given_to) == count
