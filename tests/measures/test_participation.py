"""The effective share of heads: unbiased by noise, and the same for few trials as for many."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measures.participation import estimate_participation


def name_scenes(n):
    return np.array([f"s{i}" for i in range(n)])


@given(st.integers(0, 1000), st.integers(5, 7))
def test_it_is_the_ratio_of_products_over_different_scenes(seed, count):
    x = np.random.default_rng(seed).normal(1, 0.5, (count, 3))

    def divide(rows):
        orders = list(permutations(rows, 4))
        squares = sum((a @ b) * (c @ d) for a, b, c, d in orders)
        return squares / (x.shape[1] * sum((a * b * c * d).sum() for a, b, c, d in orders))

    share, without = estimate_participation(x[:, None], name_scenes(count))
    expected = [divide(x), *(divide(np.delete(x, i, 0)) for i in range(count))]
    for found, true in zip([share, *without], expected, strict=True):
        assert np.isnan(found) if true <= 0 else found == pytest.approx(true)


def test_equal_heads_count_whole_and_scenes_count_once():
    x = np.zeros((12, 4, 5))
    x[:, 1, :2] = 3.0
    share, without = estimate_participation(x, name_scenes(12))
    assert share == pytest.approx(2 / 20)
    assert without == pytest.approx(np.full(12, 2 / 20))
    rng = np.random.default_rng(0)
    x += rng.normal(size=x.shape)
    once, _ = estimate_participation(x, name_scenes(12))
    twice, left_out = estimate_participation(np.repeat(x, 2, 0), np.repeat(name_scenes(12), 2))
    assert (once, 12) == (pytest.approx(twice), len(left_out))


@pytest.mark.parametrize("carriers", [0.02, 0.40])
def test_few_trials_make_a_model_neither_sparser_nor_denser(carriers):
    """So many heads have effects from a tenth of the best to the best; noise is as large as the best."""
    rng = np.random.default_rng(2)
    effects = np.zeros(400)
    effects[: int(carriers * 400)] = np.linspace(0.1, 1, int(carriers * 400))
    true = (effects**2).sum() ** 2 / (400 * (effects**4).sum())
    means, plain = {}, {}
    for trials, repeats in ((50, 40), (400, 8)):
        found, biased = [], []
        for _ in range(repeats):
            x = effects + rng.normal(size=(trials, 400))
            found.append(estimate_participation(x[:, None], name_scenes(trials))[0])
            m = x.mean(0)
            biased.append((m**2).sum() ** 2 / (400 * (m**4).sum()))
        error = np.std(found, ddof=1) / np.sqrt(repeats)
        # A quotient of unbiased sums has a bias of the order of its variance, which is added to the bound.
        assert abs(np.mean(found) - true) < 4 * error + np.var(found) / true
        means[trials], plain[trials] = np.mean(found), np.mean(biased)
    assert (means[50] < 0.1) == (means[400] < 0.1) == (carriers == 0.02)
    # A ratio of mean scores would take noise for heads.
    assert plain[50] > 1.05 * plain[400]


def test_noise_alone_has_no_share_or_one_that_tells_nothing():
    hidden = 0
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(50, 8, 8))
        share, without = estimate_participation(x, name_scenes(50))
        hidden += not (np.isfinite(share) and np.isfinite(without).all())
    assert hidden > 5


def test_four_scenes_are_too_few():
    with pytest.raises(ValueError, match="4 scenes"):
        estimate_participation(np.ones((4, 2, 2)), name_scenes(4))
