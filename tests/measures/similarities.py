"""Similarity matrices to test with."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from harness.measures.similarity import cosine_rsm, position_rsm

seeds = st.integers(0, 2**32 - 1)


def two_rsms(seed: int, slots: int = 2, n: int = 9, layers: int = 3):
    """Cosines of random activations [L, S, n, n], and positions on a 3x3 grid [S, n, n]."""
    rng = np.random.default_rng(seed)
    model = cosine_rsm(rng.normal(size=(layers, slots, n, 5)) + rng.normal(size=5))
    xy = rng.integers(0, 3, (slots, n, 2))
    xy[..., 0, :], xy[..., 1, :] = (0, 0), (2, 2)
    return model, position_rsm(xy)
