"""Curves of representational similarity: one correlation per layer, and its bootstrap draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.measures.similarity import rsa_draws
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.halves import DRAWS


@dataclass(frozen=True)
class Comparison:
    """Similarity matrices (RSMs) of a subject, and the one that they are correlated with.

    Attributes:
        model: Similarities of the activations in each layer and token slot, float64 [L, S, n, n].
        truth: Similarities of what may be represented, float64 [S, n, n].
        scenes: The scene of each trial [n]; pairs of trials that show one image are left out.
    """

    model: NDArray[np.float64]
    truth: NDArray[np.float64]
    scenes: NDArray[np.str_]

    def select(self, members: NDArray[np.bool_]) -> Comparison:
        """The same comparison on some of the trials, given as bool [n]."""
        chosen = np.flatnonzero(members)
        layers, slots = self.model.shape[:2]
        pairs = np.ix_(np.arange(layers), np.arange(slots), chosen, chosen)
        truth = self.truth[:, chosen][:, :, chosen]
        return Comparison(self.model[pairs], truth, self.scenes[chosen])

    def correlate(self) -> NDArray[np.float64]:
        """The correlation at every layer with each trial counted once, [L]."""
        once = np.ones((1, len(self.scenes)), int)
        return rsa_draws(self.model, self.truth, once, self.scenes)[0]

    def draw_weights(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """How often each trial occurs in each bootstrap draw of whole scenes, [D, n]."""
        return draw_cluster_weights(self.scenes, DRAWS, rng)

    def resample(self, weights: NDArray[np.int64]) -> NDArray[np.float64]:
        """The correlation at every layer in each bootstrap draw, [D, L]; `weights` as `draw_weights` gives."""
        return rsa_draws(self.model, self.truth, weights, self.scenes)
