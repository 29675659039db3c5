"""What shared features do to position IDs and to answers (section 4.5)."""

from __future__ import annotations

import numpy as np

from harness.measures.similarity import peak
from harness.readings.reading import Reading, estimate_drawn
from harness.statistics.clusters import cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, difference, proportion
from harness.statistics.halves import DRAWS

WINDOW = 5
"""Consecutive layers that are averaged, as the published bars do (protocol, E9)."""


class Entropy(Reading):
    """Reading of the four sets. Grids are "2x2" and "3x3", places "mentions" and "last"."""

    def position_gap(self, grid: str, place: str) -> Estimate:
        """Position RSA with high less that with low entropy, mean over five layers at each one's peak."""
        (a, a_draws, n, c), (b, b_draws, m, d) = (
            self._strength(f"{e} {grid}", place) for e in ("high", "low")
        )
        return estimate_drawn(a - b, a_draws - b_draws, n=min(n, m), clusters=min(c, d))

    def position_ratio(self, grid: str, place: str) -> Estimate:
        """Position RSA with low as a share of that with high entropy, as above."""
        (a, a_draws, n, c), (b, b_draws, m, d) = (
            self._strength(f"{e} {grid}", place) for e in ("high", "low")
        )
        tail = (1 - self.look.level) / 2
        known = np.isfinite(a_draws).all()
        low, high = np.quantile(a_draws, (tail, 1 - tail)) if known else (0, 0)
        if low <= 0.1:
            make = Estimate.absent if high < 0.1 else Estimate.unsettled
            return make(
                f"position is {'not ' if high < 0.1 else 'not surely '}represented with high entropy either "
                f"(r = {a:.2f}), so there is nothing to lose",
                n=min(n, m),
                clusters=min(c, d),
            )
        return estimate_drawn(b / a, b_draws / a_draws, n=min(n, m), clusters=min(c, d))

    def accuracy(self, which: str) -> Estimate:
        """Share of right colors on "high 3x3" and so on."""
        chosen = self.data.sel(set=which)
        return proportion(chosen.right.values.astype(bool), chosen.scene.values)

    def accuracy_gap(self, grid: str) -> Estimate:
        """Accuracy with high less that with low entropy; the sets are independent."""
        rng = np.random.default_rng(0)
        values, draws, sizes = [], [], []
        for entropy in ("high", "low"):
            chosen = self.data.sel(set=f"{entropy} {grid}")
            right, scenes = chosen.right.values.astype(float), chosen.scene.values
            weights = cluster_weights(scenes, DRAWS, rng)
            values.append(right.mean())
            draws.append((weights @ right) / weights.sum(1))
            sizes.append((len(right), len(np.unique(scenes))))
        n, clusters = (min(x) for x in zip(*sizes, strict=True))
        return from_draws(values[0] - values[1], draws[0] - draws[1], n=n, clusters=clusters)

    def errors_predicted(self) -> Estimate:
        """Among wrong answers: how much more often than by chance is it the color pointed to?

        By chance is with what the other wrong trials point to.
        """
        low = self.data.sel(set="low 3x3")
        wrong = ~low.right.values.astype(bool) & (self.data.named.values != "")
        scenes, count = low.scene.values[wrong], int(wrong.sum())
        clusters = len(np.unique(scenes))
        if clusters < MINIMUM_CLUSTERS:
            return Estimate.inapplicable(
                f"{count} of {len(wrong)} answers are binding errors: too few to predict",
                n=count,
                clusters=clusters,
            )
        pointed, named = self.data.pointed.values[wrong], self.data.named.values[wrong]
        hit = pointed == named
        chance = np.array([(np.delete(pointed, i) == named[i]).mean() for i in range(count)])
        return difference(hit.astype(float), chance, scenes)

    def _strength(self, which: str, place: str) -> tuple[float, np.ndarray, int, int]:
        chosen = self.data.sel(set=which, place=place)
        curve = chosen.r.sel(half="estimation").values
        middle = peak(curve)
        first = int(np.clip(middle - WINDOW // 2, 0, max(0, len(curve) - WINDOW)))
        window = slice(first, first + WINDOW)
        return (
            float(chosen.r.sel(half="evaluation").values[window].mean()),
            chosen.r_draws.values[:, window].mean(1),
            int(chosen.n),
            int(chosen.scenes),
        )
