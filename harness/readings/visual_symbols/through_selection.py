"""Whether what ID retrieval does to the answer goes through ID selection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.readings.reading import Reading, count_trials, estimate_drawn
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, mean
from harness.statistics.halves import DRAWS


class ThroughSelection(Reading):
    """Turns the effect of patched retrieval heads, with other heads held or not, into shares that are left."""

    def left(self) -> Estimate:
        """Share of the effect that is left while the selection heads are held at their clean values."""
        return self._estimate_share(self._effect("selection"))

    def spared(self) -> Estimate:
        """How much more of the effect is left while as many other heads of the same layers are held."""
        spared = self._effect("other heads") - self._effect("selection")
        few = self._explain_few_others(int(self.data.held_heads), int(self.data.others))
        return few or self._estimate_share(spared)

    def _effect(self, held: str) -> NDArray[np.float64]:
        return self.data.effect.sel(held=held).values

    def _estimate_share(self, part: NDArray[np.float64]) -> Estimate:
        """The mean of a part as a share of the mean effect while nothing is held; scenes are drawn."""
        scenes, whole = self.data.scene.values, self._effect("nothing")
        sizes = count_trials(scenes)
        if int(self.data.retrieving):
            missing = self._explain_no_heads(
                int(self.data.selecting), "heads retrieve IDs and none selects one: no chain", sizes
            )
            if missing:
                return missing
        if not int(self.data.patched):
            return Estimate.inapplicable(
                "no head retrieves an ID, or nothing is answered right: no chain to cut", **sizes
            )
        if sizes["clusters"] < MINIMUM_CLUSTERS:
            return Estimate.unsettled(f"only {sizes['clusters']} scenes: raise --trials", **sizes)
        moved = mean(whole, scenes)
        low, high = self._find_bounds(moved)
        weights = draw_cluster_weights(scenes, DRAWS, np.random.default_rng(0)).astype(float)
        draws = weights @ whole
        if low <= 0 or (draws <= 0).any():
            return Estimate.inapplicable(
                f"patched retrieval heads move the answer by {moved.value:.2g} [{low:.2g}, {high:.2g}] logits: "
                "no effect to trace",
                **sizes,
            )
        return estimate_drawn(float(part.mean() / whole.mean()), weights @ part / draws, **sizes)
