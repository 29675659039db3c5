"""Whether position IDs from scene description help with questions about space (section 4.4)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import Reading, count
from harness.statistics.clusters import cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, difference, mean, proportion
from harness.statistics.halves import DRAWS
from harness.stimuli.prompt import RELATIONS

CEILING = 0.95
"""From here on there is nothing to improve (protocol, E8)."""


class Reused(Reading):
    """Reading of the answers to questions about space."""

    def gain(self) -> Estimate:
        """How much more often the answer is right with the ID of the true position."""
        missing = self._missing() or self._ceiling()
        return missing or difference(
            self.data.after.values, self.data.before.values, self.data.scene.values
        )

    def worst(self) -> Estimate:
        """The gain on the relation that gains least."""
        missing = self._missing() or self._ceiling()
        if missing:
            return missing
        gained = self.data.after.values.astype(float) - self.data.before.values
        scenes = self.data.scene.values
        members = [self.data.relation.values == r for r in RELATIONS]
        weights = cluster_weights(scenes, DRAWS, np.random.default_rng(0))
        draws = [
            (weights[:, m] * gained[m]).sum(1) / np.maximum(1, weights[:, m].sum(1))
            for m in members
        ]
        return from_draws(
            min(gained[m].mean() for m in members),
            np.min(draws, 0),
            **count(scenes),
        )

    def pulled(self) -> Estimate:
        """Share of answers that are the object at a wrong position whose ID is put in."""
        missing = self._missing()
        return missing or proportion(self.data.pulled.values.astype(bool), self.data.scene.values)

    def _ceiling(self) -> Estimate | None:
        before = mean(self.data.before.values.astype(float), self.data.scene.values)
        if before.value <= CEILING:
            return None
        return Estimate.inapplicable(
            f"{before.value:.0%} of the questions are answered right without the ID: nothing to improve",
            n=before.n,
            clusters=before.clusters,
        )

    def _missing(self) -> Estimate | None:
        heads = int(self.data.heads)
        return self._no_heads(heads, "no head selects an ID, so there is none to reuse")
