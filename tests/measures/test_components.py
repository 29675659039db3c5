from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from harness.measures.components import neighbours_agree, project_to_plane

seeds = st.integers(0, 2**32 - 1)

LINE = np.array([[0.0], [1], [2], [3], [10], [11], [12], [13]])


def blobs(seed: int, n: int = 60, classes: int = 2):
    """Overlapping clusters in the plane, their labels, and scenes of three items."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(n, 2)) + labels[:, None], labels, np.arange(n) // 3


# The plane


@pytest.mark.parametrize("shape", [(40, 12), (10, 30)])
def test_the_plane_agrees_with_scikit_learn_up_to_sign(shape):
    x = np.random.default_rng(0).normal(size=shape) @ np.diag(1 + np.arange(shape[1]) ** 1.5)
    coordinates, explained = project_to_plane(x + 5)
    oracle = PCA(2, svd_solver="full")
    expected = oracle.fit_transform(x + 5)
    for axis in range(2):
        sign = np.sign(coordinates[0, axis] * expected[0, axis])
        assert coordinates[:, axis] == pytest.approx(sign * expected[:, axis], abs=1e-8)
    assert explained == pytest.approx(oracle.explained_variance_ratio_, abs=1e-12)


def test_the_largest_loading_of_each_component_is_positive():
    x = np.random.default_rng(1).normal(size=(30, 6)) * [9, 6, 1, 1, 1, 1]
    coordinates, _ = project_to_plane(x)
    centred = x - x.mean(0)
    loadings = np.linalg.lstsq(coordinates, centred, rcond=None)[0]
    assert (loadings[[0, 1], np.abs(loadings).argmax(1)] > 0).all()


@given(seeds)
def test_mirroring_all_activations_mirrors_the_plane_onto_itself(seed):
    x = np.random.default_rng(seed).normal(size=(12, 4)) * [4, 2, 1, 1]
    assert project_to_plane(-x)[0] == pytest.approx(-project_to_plane(x)[0], abs=1e-9)


@given(seeds)
def test_permuting_items_permutes_the_plane(seed):
    rng = np.random.default_rng(seed)
    x, order = rng.normal(size=(12, 5)) * [5, 3, 1, 1, 1], rng.permutation(12)
    assert project_to_plane(x[order])[0] == pytest.approx(project_to_plane(x)[0][order], abs=1e-8)
    assert project_to_plane(x[order])[1] == pytest.approx(project_to_plane(x)[1], abs=1e-10)


def test_the_plane_is_computed_in_double():
    x = np.random.default_rng(2).normal(size=(20, 8)).astype(np.float32)
    assert project_to_plane(x)[0].dtype == np.float64
    assert project_to_plane(x)[0] == pytest.approx(project_to_plane(x.astype(float))[0], abs=1e-12)


def test_activations_that_are_all_the_same_have_a_plane_of_zeros():
    coordinates, explained = project_to_plane(
        np.tile(np.random.default_rng(3).normal(size=7), (9, 1))
    )
    assert coordinates.shape == (9, 2)
    assert not coordinates.any()
    assert not explained.any()


def test_activations_without_a_plane_are_refused():
    with pytest.raises(ValueError, match=r"\(5, 1\)"):
        project_to_plane(np.ones((5, 1)))
    with pytest.raises(ValueError, match=r"\(1, 5\)"):
        project_to_plane(np.ones((1, 5)))
    with pytest.raises(ValueError, match="finite"):
        project_to_plane([[1.0, math.nan], [1.0, 2.0]])


# Neighbours


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([1, 3, 5]))
def test_neighbours_agree_with_scikit_learn_fitted_on_the_other_scenes(seed, k):
    points, labels, scenes = blobs(seed)
    found = neighbours_agree(points, labels, scenes, k)
    for scene in np.unique(scenes):
        out = scenes == scene
        oracle = KNeighborsClassifier(k).fit(points[~out], labels[~out])
        assert (found[out] == (oracle.predict(points[out]) == labels[out])).all()


def test_neighbours_agree_with_scikit_learn_for_six_classes_where_votes_are_not_tied():
    points, labels, scenes = blobs(7, n=150, classes=6)
    found = neighbours_agree(points, labels, scenes)
    compared = 0
    for scene in np.unique(scenes):
        out = scenes == scene
        shares = KNeighborsClassifier(5).fit(points[~out], labels[~out]).predict_proba(points[out])
        clear = (shares == shares.max(1, keepdims=True)).sum(1) == 1
        compared += clear.sum()
        assert (found[out][clear] == (shares.argmax(1) == labels[out])[clear]).all()
    assert compared > 75


def test_neighbours_of_the_same_scene_have_no_vote():
    labels = np.array(list("aabbbbaa"))
    alone, together = np.arange(8), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert neighbours_agree(LINE, labels, alone, k=1)[[0, 7]].tolist() == [True, True]
    assert neighbours_agree(LINE, labels, together, k=1)[[0, 7]].tolist() == [False, False]


def test_of_tied_labels_the_nearest_wins():
    points = np.array([[0.0], [1], [2], [3], [4]])
    for nearest, expected in (("a", True), ("b", False)):
        other = "b" if nearest == "a" else "a"
        labels = np.array(["a", nearest, other, other, nearest])
        assert neighbours_agree(points, labels, np.arange(5), k=4)[0] == expected


def test_the_nearest_does_not_win_against_a_majority():
    points, labels = np.array([[0.0], [1], [2], [3], [9]]), np.array(list("abaab"))
    assert neighbours_agree(points, labels, np.arange(5), k=3)[0]


def test_a_nearest_neighbour_out_of_the_tie_does_not_break_it():
    points = np.array([[0.0], [1], [2], [3], [4], [5]])
    labels = np.array(list("acbbaa"))
    assert not neighbours_agree(points, labels, np.arange(6), k=5)[0]


@given(seeds)
def test_permuting_items_and_renaming_labels_changes_no_agreement(seed):
    points, labels, scenes = blobs(seed, n=30, classes=4)
    order = np.random.default_rng(seed).permutation(30)
    found = neighbours_agree(points, labels, scenes)
    names = np.array(["orange", "blue", "red", "pink"])[labels]
    assert (neighbours_agree(points[order], names[order], scenes[order]) == found[order]).all()


@given(seeds, st.floats(0, 2 * math.pi), st.floats(0.01, 100))
def test_turning_and_scaling_the_plane_changes_no_agreement(seed, angle, scale):
    points, labels, scenes = blobs(seed, n=30)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turned = neighbours_agree(scale * points @ turn, labels, scenes)
    assert (turned == neighbours_agree(points, labels, scenes)).all()


def test_labels_that_have_nothing_to_do_with_the_plane_agree_at_chance():
    rng = np.random.default_rng(4)
    points, labels = rng.normal(size=(1500, 2)), rng.integers(0, 6, 1500)
    assert neighbours_agree(points, labels, np.arange(1500)).mean() == pytest.approx(
        1 / 6, abs=0.04
    )


def test_too_few_items_outside_the_scene_are_refused():
    with pytest.raises(ValueError, match="item 0 has 4 items outside its group x; 5"):
        neighbours_agree(LINE[:6], list("aabbaa"), list("xxyyzz"))


def test_items_labels_and_groups_must_be_as_many():
    with pytest.raises(ValueError, match="8 items, 7 labels and 8 groups"):
        neighbours_agree(LINE, list("aabbaab"), np.arange(8))
    with pytest.raises(ValueError, match="8 items, 8 labels and 7 groups"):
        neighbours_agree(LINE, list("aabbaabb"), np.arange(7))
    with pytest.raises(ValueError, match="finite"):
        neighbours_agree([[0.0], [math.nan]], list("ab"), [0, 1], k=1)
    with pytest.raises(ValueError, match="k is 0"):
        neighbours_agree(LINE, list("aabbaabb"), np.arange(8), k=0)
