"""Permuted item labels, which say what the highest layer of noise reaches; and the highest layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr
from similarities import two_rsms

from harness.measures.similarity import (
    cosine_rsm,
    find_peak,
    mantel_null,
    position_rsm,
    rsa,
    rsa_draws,
)

# Permuted item labels


def test_each_permutation_is_one_relabelling_of_all_layers_and_slots(monkeypatch):
    monkeypatch.setattr("harness.measures.similarity._CHUNK", 150)
    model, target = two_rsms(12)
    null = mantel_null(model, target, 5, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    for row in null:
        order = rng.permutation(9)
        relabelled = target[:, order][:, :, order]
        assert row == pytest.approx([rsa(layer, relabelled) for layer in model], abs=1e-12)


def test_how_many_permutations_are_held_at_once_does_not_matter(monkeypatch):
    model, target = two_rsms(13)
    whole = mantel_null(model, target, 7, np.random.default_rng(0))
    monkeypatch.setattr("harness.measures.similarity._CHUNK", 1)
    parts = mantel_null(model, target, 7, np.random.default_rng(0))
    assert parts == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("scenes", [(0, 0, 0, 1, 2, 3), (0, 0, 1, 1, 2, 3), (0, 0, 1, 2, 3, 4)])
def test_a_permutation_that_leaves_nothing_to_correlate_has_no_value(scenes):
    """One pair stands out; where it falls on two items of one scene, all pairs that count are alike."""
    n = len(scenes)
    model = np.random.default_rng(1).normal(size=(2, 1, n, n))
    target = np.zeros((1, n, n))
    target[:, -1, -2] = 1
    null = mantel_null(
        model + model.swapaxes(-1, -2), target, 300, np.random.default_rng(0), scenes
    )
    rng = np.random.default_rng(0)
    apart = np.not_equal.outer(scenes, scenes)
    orders = [rng.permutation(n) for _ in range(300)]
    alike = np.array([not apart[tuple(np.flatnonzero(o >= n - 2))] for o in orders])
    assert 0 < alike.sum() < 100
    assert np.isnan(null[alike]).all()
    assert not np.isnan(null[~alike]).any()


def test_a_permutation_test_without_permutations_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        mantel_null(*two_rsms(14), 0, np.random.default_rng(0))


def test_the_highest_layer_passes_on_noise_as_often_as_the_test_says():
    repeats, n, layers, permutations = 400, 16, 8, 99
    rng = np.random.default_rng(5)
    naive = fixed = mantel = 0
    for _ in range(repeats):
        # A shared direction and items of different noise, as in a residual stream: some items are
        # then unlike all others, which makes their pairs depend on each other.
        spread = rng.lognormal(size=(n, 1))
        states = 2 + np.cumsum(spread * rng.normal(size=(layers, n, 12)), axis=0)
        model, target = cosine_rsm(states)[:, None], position_rsm(rng.normal(size=(n, 2)))[None]
        curve = rsa_draws(model, target, np.ones((1, n)))[0]
        lower = np.tril_indices(n, -1)
        p = [
            pearsonr(layer[0][lower], target[0][lower], alternative="greater").pvalue
            for layer in model
        ]
        naive += min(p) <= 0.05
        fixed += p[0] <= 0.05
        highest = mantel_null(model, target, permutations, rng).max(1)
        mantel += (1 + (highest >= curve.max()).sum()) / (permutations + 1) <= 0.05
    # Five standard errors of a 5% rate over 400 repeats are 0.054.
    assert 0.01 < mantel / repeats < 0.05 + 0.054
    assert fixed / repeats > 0.12
    assert naive / repeats > 0.25


def test_a_planted_position_code_stands_out_from_the_permutations():
    rng = np.random.default_rng(8)
    xy = rng.integers(0, 3, (24, 2))
    code = np.concatenate([xy, np.full((24, 1), 2.0)], 1) + 0.3 * rng.normal(size=(24, 3))
    model = cosine_rsm(np.stack([rng.normal(size=(24, 3)), code]))[:, None]
    target = position_rsm(xy)[None]
    curve = rsa_draws(model, target, np.ones((1, 24)))[0]
    assert find_peak(curve) == 1
    assert curve[1] > mantel_null(model, target, 99, rng).max()


def test_the_null_of_separate_scenes_is_that_of_a_slow_loop():
    rng = np.random.default_rng(1)
    n, scenes = 10, np.array([0, 0, 1, 2, 3, 3, 4, 5, 6, 7])
    model, target = (
        cosine_rsm(rng.normal(size=(2, 1, n, 4))),
        position_rsm(rng.normal(size=(1, n, 2))),
    )
    null = mantel_null(model, target, 5, np.random.default_rng(9), scenes)
    orders = np.random.default_rng(9)
    for row in null:
        order = orders.permutation(n)
        moved = target[:, order][:, :, order]
        for layer in range(2):
            assert row[layer] == pytest.approx(rsa(model[layer], moved, scenes=scenes), abs=1e-9)


# Peak


def test_the_peak_is_the_first_of_the_highest_layers():
    assert find_peak([0.1, 0.7, 0.3, 0.7]) == 1
    assert find_peak([-0.3, -0.1]) == 1


def test_layers_without_a_value_are_no_peak():
    assert find_peak([math.nan, 0.2, 0.5]) == 2


@pytest.mark.parametrize("curve", [[], [math.nan, math.nan], [[0.1, 0.2]]])
def test_a_curve_without_values_has_no_peak(curve):
    with pytest.raises(ValueError, match="no peak"):
        find_peak(curve)
