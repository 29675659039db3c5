"""The decoder of positions: it reads what is there, and is no better than chance where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from harness.experiments.decoding import CellDecoder
from harness.experiments.halves import Halves

CELLS = 9


def learn(signal, seed, n=180, layers=12, right=None):
    rng = np.random.default_rng(seed)
    cells = rng.permutation(n) % CELLS
    states = rng.normal(size=(layers, n, 16)).astype(np.float32)
    states[layers // 2] += signal * rng.normal(size=(CELLS, 16)).astype(np.float32)[cells]
    halves = Halves.deal(np.array([f"scene {i}" for i in range(n)]), rng)
    right = np.ones(n, bool) if right is None else right
    return CellDecoder.learn(states, cells, right, halves, rng), states, cells, halves


def test_it_finds_the_layer_that_has_positions_and_reads_them():
    decoder, states, cells, halves = learn(5.0, 0)
    assert decoder.layer == 6
    assert decoder.found[decoder.held].mean() > 0.95
    assert (decoder.decode(states) == cells).mean() > 0.95
    assert not (decoder.held & halves.first).any()
    assert not (decoder.found & ~decoder.held).any()


def test_where_there_is_no_position_held_out_trials_are_read_at_chance():
    shares = [d.found[d.held].mean() for d, *_ in (learn(0.0, seed) for seed in range(40))]
    # 3600 trials in all; the layer is chosen on others, so that nothing is gained by having many.
    assert abs(np.mean(shares) - 1 / CELLS) < 3 * np.sqrt(1 / CELLS * 8 / CELLS / 3600)


def test_trials_answered_wrong_neither_teach_nor_test_it():
    right = np.arange(180) % 3 > 0
    decoder, *_ = learn(5.0, 1, right=right)
    assert len(decoder.known) == right.sum()
    assert not (decoder.held & ~right).any()


@pytest.mark.parametrize("kept", [0, 1])
def test_too_few_right_answers_decode_nothing(kept):
    right = np.arange(180) < kept
    decoder, states, *_ = learn(5.0, 2, right=right)
    assert decoder.layer is None
    assert (decoder.decode(states) == -1).all()
    assert not decoder.found.any()
