"""Similarity matrices of activations, positions and features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist, squareform
from similarities import seeds

from harness.measures.similarity import cosine_rsm, feature_rsm, position_rsm

# Cosines of activations


def test_cosines_agree_with_scipy_for_every_layer_and_slot():
    x = np.random.default_rng(0).normal(size=(3, 2, 7, 5))
    found = cosine_rsm(x)
    for layer in range(3):
        for slot in range(2):
            oracle = 1 - squareform(pdist(x[layer, slot], "cosine"))
            assert found[layer, slot] == pytest.approx(oracle, abs=1e-12)


def test_cosines_agree_with_rsatoolbox():
    x = np.random.default_rng(1).normal(size=(8, 6))
    oracle = 1 - calc_rdm(Dataset(x), method="correlation").get_matrices()[0]
    assert cosine_rsm(x - x.mean(1, keepdims=True)) == pytest.approx(oracle, abs=1e-12)


@given(seeds, arrays(float, 6, elements=st.floats(1e-200, 1e150)))
def test_scaling_an_activation_changes_no_cosine(seed, scales):
    x = np.random.default_rng(seed).normal(size=(6, 4))
    assert cosine_rsm(x * scales[:, None]) == pytest.approx(cosine_rsm(x), abs=1e-12)


def test_cosines_of_half_precision_activations_are_computed_in_double():
    x = np.random.default_rng(2).normal(size=(6, 300)).astype(np.float16)
    assert cosine_rsm(x) == pytest.approx(cosine_rsm(x.astype(float)), abs=1e-15)


def test_cosines_never_leave_the_unit_interval():
    found = cosine_rsm(np.repeat(np.random.default_rng(3).normal(size=(1, 999)), 50, axis=0))
    assert found.max() <= 1
    assert found.min() == pytest.approx(1)


def test_a_zero_activation_is_refused_by_name():
    x = np.ones((2, 3, 4))
    x[1, 2] = 0
    with pytest.raises(ValueError, match=r"\(1, 2\) is zero"):
        cosine_rsm(x)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_activations_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        cosine_rsm([[1.0, 2.0], [bad, 1.0]])


# Similarity of positions and of features


def test_positions_of_a_square_are_as_alike_as_their_distance_says():
    side = 1 - math.sqrt(0.5)
    expected = [[1, side, side, 0], [side, 1, 0, side], [side, 0, 1, side], [0, side, side, 1]]
    assert position_rsm([[0, 0], [0, 84], [84, 0], [84, 84]]) == pytest.approx(np.array(expected))


@given(seeds, st.floats(0.01, 1000), st.floats(-100, 100))
def test_the_unit_and_origin_of_positions_do_not_matter(seed, unit, origin):
    xy = np.random.default_rng(seed).normal(size=(5, 2))
    assert position_rsm(unit * xy + origin) == pytest.approx(position_rsm(xy), abs=1e-8)


def test_slots_handed_in_together_share_the_largest_distance():
    near, far = [[0, 0], [0, 1], [0, 0]], [[0, 0], [0, 4], [0, 2]]
    found = position_rsm([near, far])
    assert found[0][0, 1] == 0.75
    assert found[1] == pytest.approx(position_rsm(far))


def test_positions_that_are_all_the_same_are_refused():
    with pytest.raises(ValueError, match="same place"):
        position_rsm(np.ones((4, 2)))


def test_positions_that_are_not_pairs_of_numbers_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        position_rsm(np.ones((4, 3)))
    with pytest.raises(ValueError, match="finite"):
        position_rsm([[0, 0], [0, math.nan]])


def test_features_are_alike_by_the_share_they_have_in_common():
    colors, shapes = ["red", "red", "blue", "blue"], ["square", "heart", "heart", "star"]
    expected = [[1, 0.5, 0, 0], [0.5, 1, 0.5, 0], [0, 0.5, 1, 0.5], [0, 0, 0.5, 1]]
    assert feature_rsm(colors, shapes).tolist() == expected


def test_features_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        feature_rsm(["red", "blue"], ["star", "star", "heart"])
