from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm, compare
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr

from harness.measures.similarity import (
    cosine_rsm,
    feature_rsm,
    mantel_null,
    peak,
    position_rsm,
    rsa,
    rsa_draws,
)

seeds = st.integers(0, 2**32 - 1)


def two_rsms(seed: int, slots: int = 2, n: int = 9, layers: int = 3):
    """Cosines of random activations [L, S, n, n], and positions on a 3x3 grid [S, n, n]."""
    rng = np.random.default_rng(seed)
    model = cosine_rsm(rng.normal(size=(layers, slots, n, 5)) + rng.normal(size=5))
    xy = rng.integers(0, 3, (slots, n, 2))
    xy[..., 0, :], xy[..., 1, :] = (0, 0), (2, 2)
    return model, position_rsm(xy)


def dissimilarities(rsm: np.ndarray) -> RDMs:
    return RDMs(1 - rsm[None], pattern_descriptors={"item": list(range(len(rsm)))})


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
    colours, shapes = ["red", "red", "blue", "blue"], ["square", "heart", "heart", "star"]
    expected = [[1, 0.5, 0, 0], [0.5, 1, 0.5, 0], [0, 0.5, 1, 0.5], [0, 0, 0.5, 1]]
    assert feature_rsm(colours, shapes).tolist() == expected


def test_features_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        feature_rsm(["red", "blue"], ["star", "star", "heart"])


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
    assert peak(curve) == 1
    assert curve[1] > mantel_null(model, target, 99, rng).max()


# Peak


def test_the_peak_is_the_first_of_the_highest_layers():
    assert peak([0.1, 0.7, 0.3, 0.7]) == 1
    assert peak([-0.3, -0.1]) == 1


def test_layers_without_a_value_are_no_peak():
    assert peak([math.nan, 0.2, 0.5]) == 2


@pytest.mark.parametrize("curve", [[], [math.nan, math.nan], [[0.1, 0.2]]])
def test_a_curve_without_values_has_no_peak(curve):
    with pytest.raises(ValueError, match="no peak"):
        peak(curve)


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
