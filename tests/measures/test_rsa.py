"""Correlation of two similarity matrices, plain and with the weights of a bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.rdm import RDMs, compare
from scipy.stats import pearsonr
from similarities import seeds, two_rsms

from harness.measures.similarity import (
    cosine_rsm,
    feature_rsm,
    mantel_null,
    position_rsm,
    rsa,
    rsa_draws,
)


def dissimilarities(rsm: np.ndarray) -> RDMs:
    return RDMs(1 - rsm[None], pattern_descriptors={"item": list(range(len(rsm)))})


# Correlation of two RSMs


def test_rsa_agrees_with_rsatoolbox_and_scipy_on_one_slot():
    model, target = two_rsms(0, slots=1)
    found = rsa(model[0], target)
    oracle = compare(dissimilarities(model[0, 0]), dissimilarities(target[0]), method="corr")
    assert found == pytest.approx(float(oracle.item()), abs=1e-10)
    lower = np.tril_indices(9, -1)
    assert found == pytest.approx(
        pearsonr(model[0, 0][lower], target[0][lower]).statistic, abs=1e-12
    )


def test_slots_are_pooled_into_one_vector():
    model, target = two_rsms(1, slots=3)
    lower = np.tril_indices(9, -1)
    pooled = [np.concatenate([slot[lower] for slot in side]) for side in (model[0], target)]
    assert rsa(model[0], target) == pytest.approx(pearsonr(*pooled).statistic, abs=1e-12)


def test_only_what_lies_below_the_diagonal_is_read():
    model, target = two_rsms(2)
    spoiled = np.tril(model, -1) + np.triu(np.full_like(model, 1e6))
    other = np.tril(target, -1) - np.triu(np.full_like(target, 1e6))
    w = np.random.default_rng(0).integers(0, 3, (4, 9))
    assert rsa(spoiled[0], other) == pytest.approx(rsa(model[0], target), abs=1e-12)
    assert rsa_draws(spoiled, other, w) == pytest.approx(rsa_draws(model, target, w), abs=1e-12)
    null = mantel_null(spoiled, other, 5, np.random.default_rng(1))
    assert null == pytest.approx(mantel_null(model, target, 5, np.random.default_rng(1)), abs=1e-12)


@given(seeds)
def test_permuting_items_on_both_sides_changes_nothing(seed):
    model, target = two_rsms(seed)
    order = np.random.default_rng(seed).permutation(9)
    permuted = [side[..., order, :][..., order] for side in (model, target)]
    weights = np.random.default_rng(seed).integers(0, 4, 9)
    assert rsa(permuted[0][0], permuted[1]) == pytest.approx(rsa(model[0], target), abs=1e-12)
    assert rsa_draws(*permuted, weights[order][None]) == pytest.approx(
        rsa_draws(model, target, weights[None]), abs=1e-9, nan_ok=True
    )


@given(seeds, st.floats(0.01, 100), st.floats(-100, 100))
def test_shifting_and_scaling_an_rsm_changes_nothing(seed, scale, shift):
    model, target = two_rsms(seed)
    weights = np.random.default_rng(seed).integers(1, 4, (2, 9))
    assert rsa(scale * model[0] + shift, target) == pytest.approx(rsa(model[0], target), abs=1e-9)
    assert rsa_draws(scale * model + shift, target, weights) == pytest.approx(
        rsa_draws(model, target, weights), abs=1e-9
    )


def test_an_rsm_correlates_perfectly_with_itself_and_its_opposite():
    _, target = two_rsms(3)
    assert rsa(target, target) == pytest.approx(1)
    assert rsa(1 - target, target) == pytest.approx(-1)


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.3])
def test_a_constant_side_has_no_correlation(constant):
    model, target = two_rsms(4)
    flat = np.full_like(model, constant) + 1e-16 * np.sign(model)
    w = np.ones((2, 9), int)
    assert math.isnan(rsa(flat[0], target))
    assert math.isnan(rsa(model[0], flat[0]))
    assert np.isnan(rsa_draws(flat, target, w)).all()
    assert np.isnan(rsa_draws(model, flat[0], w)).all()
    assert np.isnan(mantel_null(flat, target, 3, np.random.default_rng(0))).all()


def test_only_the_constant_layer_goes_without_a_value():
    model, target = two_rsms(5)
    model[1] = 1
    assert np.isnan(rsa_draws(model, target, np.ones((1, 9)))[0]).tolist() == [False, True, False]
    null = mantel_null(model, target, 2, np.random.default_rng(0))
    assert np.isnan(null[0]).tolist() == [False, True, False]


# Weights of a bootstrap


@given(seeds)
def test_weights_of_one_equal_no_weights(seed):
    model, target = two_rsms(seed)
    expected = [rsa(layer, target) for layer in model]
    assert [rsa(layer, target, np.ones(9)) for layer in model] == pytest.approx(expected, abs=1e-12)
    assert rsa_draws(model, target, np.ones((1, 9)))[0] == pytest.approx(expected, abs=1e-10)


@settings(max_examples=30)
@given(seeds)
def test_weighted_rsa_equals_resampling_items_and_leaving_out_pairs_of_copies(seed):
    rng = np.random.default_rng(seed)
    model, target = two_rsms(seed, n=6)
    draws = np.sort(rng.integers(0, 6, (4, 6)), axis=1)
    weights = np.stack([np.bincount(d, minlength=6) for d in draws])
    expected = np.full((4, 3), np.nan)
    for d, drawn in enumerate(draws):
        for layer in range(3):
            x, y = [], []
            for slot in range(2):
                for a in range(6):
                    for b in range(a):
                        if drawn[a] != drawn[b]:
                            x.append(model[layer, slot, drawn[a], drawn[b]])
                            y.append(target[slot, drawn[a], drawn[b]])
            if x and np.std(y) > 1e-9 and np.std(x) > 1e-9:
                expected[d, layer] = pearsonr(x, y).statistic
    looped = [[rsa(layer, target, w) for layer in model] for w in weights]
    assert np.array(looped) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert rsa_draws(model, target, weights) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_weighted_rsa_agrees_with_a_bootstrap_sample_of_rsatoolbox():
    model, target = two_rsms(6, slots=1)
    drawn = np.sort(np.random.default_rng(6).integers(0, 9, 9))
    assert len(set(drawn)) < 9
    samples = [dissimilarities(r[0]).subsample_pattern("item", drawn) for r in (model[0], target)]
    oracle = float(compare(*samples, method="corr").item())
    weights = np.bincount(drawn, minlength=9)
    assert rsa(model[0], target, weights) == pytest.approx(oracle, abs=1e-10)
    assert rsa_draws(model, target, weights[None])[0, 0] == pytest.approx(oracle, abs=1e-10)


def test_a_draw_of_a_single_item_has_no_pairs_and_no_value():
    model, target = two_rsms(7)
    weights = 9 * np.eye(9, dtype=int)
    assert math.isnan(rsa(model[0], target, weights[2]))
    assert np.isnan(rsa_draws(model, target, weights)).all()


def test_a_draw_that_leaves_the_target_constant_has_no_value():
    model, _ = two_rsms(8)
    target = 0.37 * np.tile(feature_rsm(list("aaabbbbbb"), list("aaabbbbbb")), (2, 1, 1))
    # Whatever the counts, the sums that make up a variance of zero must not leave one by rounding.
    alike = np.zeros((60, 9), int)
    alike[:, :3] = np.random.default_rng(8).integers(1, 50, (60, 3))
    assert np.isnan(rsa_draws(model, target, alike)).all()
    assert math.isnan(rsa(model[0], target, alike[0]))
    alike[:, 3] = 1
    assert np.isfinite(rsa_draws(model, target, alike)).all()


def test_similarities_that_hardly_differ_keep_their_precision():
    model, target = two_rsms(9)
    weights = np.random.default_rng(9).integers(1, 3, (5, 9))
    close = 1 - 1e-7 * model
    assert rsa_draws(close, target, weights) == pytest.approx(
        -rsa_draws(model, target, weights), abs=1e-6
    )


def test_shapes_that_do_not_fit_are_refused():
    model, target = two_rsms(10)
    with pytest.raises(ValueError, match=r"\(3, 2, 9, 9\).*\(1, 9, 9\)"):
        rsa_draws(model, target[:1], np.ones((1, 9)))
    with pytest.raises(ValueError, match=r"\[S, n, n\]"):
        rsa(model, target)
    with pytest.raises(ValueError, match=r"\(1, 8\)"):
        rsa_draws(model, target, np.ones((1, 8)))
    with pytest.raises(ValueError, match=r"\(9,\)"):
        rsa(model[0], target, np.ones(8))
    with pytest.raises(ValueError, match="expected"):
        rsa_draws(model, target, np.ones(9))


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 0, 0), (0, 3, 3)])
def test_fewer_than_two_items_are_refused(shape):
    empty = np.ones(shape)
    with pytest.raises(ValueError, match="no pair"):
        rsa(empty, empty)
    with pytest.raises(ValueError, match="no pair"):
        rsa_draws(empty[None], empty, np.ones((1, shape[-1])))
    with pytest.raises(ValueError, match="no pair"):
        mantel_null(empty[None], empty, 1, np.random.default_rng(0))


@pytest.mark.parametrize("bad", [-1, math.nan])
def test_weights_that_count_nothing_are_refused(bad):
    model, target = two_rsms(11)
    weights = np.ones(9)
    weights[4] = bad
    with pytest.raises(ValueError, match="not negative"):
        rsa(model[0], target, weights)


# Trials of one scene


def test_pairs_of_one_scene_do_not_count():
    rng = np.random.default_rng(3)
    n, scenes = 14, np.repeat(np.arange(7), 2)
    model = cosine_rsm(rng.normal(size=(2, 3, n, 5)))
    target = position_rsm(rng.normal(size=(3, n, 2)))
    weights = rng.integers(0, 3, size=(6, n))
    for draw, row in zip(rsa_draws(model, target, weights, scenes), weights, strict=True):
        for layer in range(2):
            xs, ys = [], []
            for s in range(3):
                for i in range(n):
                    for j in range(i):
                        if scenes[i] != scenes[j]:
                            times = row[i] * row[j]
                            xs += [model[layer, s, i, j]] * times
                            ys += [target[s, i, j]] * times
            expected = np.corrcoef(xs, ys)[0, 1]
            assert draw[layer] == pytest.approx(expected, abs=1e-9)
            assert rsa(model[layer], target, row, scenes) == pytest.approx(expected, abs=1e-9)


def test_drawing_scenes_again_does_not_raise_the_correlation_of_noise():
    """Repeated trials of a scene are alike in activations and in labels; that must not look like a code."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.arange(12), 8)
    excess = []
    for _ in range(30):
        place = rng.normal(size=(12, 2))[scenes]
        states = rng.normal(size=(12, 20))[scenes] + 0.1 * rng.normal(size=(96, 20))
        model, target = cosine_rsm(states)[None, None], position_rsm(place)[None]
        times = rng.multinomial(12, np.full(12, 1 / 12), size=200)[:, scenes]
        draws = rsa_draws(model, target, times, scenes)
        once = rsa_draws(model, target, np.ones((1, 96), int), scenes)
        excess.append(np.nanmean(draws) - once[0, 0])
    assert abs(np.mean(excess)) < 0.02
