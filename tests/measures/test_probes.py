"""Labels by the nearest class mean, against a slow loop and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from similarities import seeds
from sklearn.neighbors import NearestCentroid

from harness.measures.probes import label_by_nearest_mean


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
