"""Where in the layers positions and features are represented (section 3.3, A.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.measures.similarity import find_peak
from harness.readings.reading import Reading, estimate_drawn, make_missing
from harness.statistics.estimate import Estimate
from harness.statistics.orders import Code, estimate_order, find_onset

PRESENT = 0.10
"""Below this peak a code counts as absent, so that it has no peak to come first.

The paper reads low-entropy values of 0.09 and less in LLaVA-1.5 as IDs that are not there (section 4.5).
"""


class Similarity(Reading):
    """Turns RSA curves into peaks. Pairs are "position@last", "features@last", "position@mentions"."""

    def peak_layer(self, pair: str, half: str = "estimation") -> int:
        """Where the curve of one half is highest."""
        return find_peak(self.data.r.sel(pair=pair, half=half).values)

    def strength(self, pair: str) -> Estimate:
        """r at the peak layer: the layer chosen on the estimation half, r read on the evaluation half."""
        return self._read(pair, lambda curve: curve[..., self.peak_layer(pair)])

    def late(self, pair: str) -> Estimate:
        """r at the best of the last quarter of the layers: chosen on one half, read on the other."""
        quarter = -(-self.data.sizes["layer"] // 4)
        first = self.data.sizes["layer"] - quarter
        chosen = self.data.r.sel(pair=pair, half="estimation").values[first:]
        return self._read(pair, lambda curve: curve[..., first + find_peak(chosen)])

    def remaining(self, pair: str) -> Estimate:
        """Mean r over the last two layers as a share of r at the peak layer, on the evaluation half."""
        if missing := self._explain_missing(pair):
            return missing
        layer = self.peak_layer(pair)
        return self._read(pair, lambda curve: curve[..., -2:].mean(-1) / curve[..., layer])

    def onset_layer(self, pair: str) -> int:
        """The layer from which on a pair is represented, over all trials; see `find_onset`.

        Raises:
            ValueError: The pair is represented at no layer.
        """
        return int(find_onset(self.data.r.sel(pair=pair, half="all").values))

    def gap(self, earlier: str, later: str) -> Estimate:
        """Layers from the onset of one pair to that of another, see `harness.statistics.orders`.

        A code that is absent has no onset, and neither has the order.
        """
        if missing := self._explain_missing(earlier, later):
            return missing
        chosen, half = self.data.sel(half="all"), self.data.sel(half="evaluation")
        first, second = (
            Code(_spell_pair(p), chosen.r.sel(pair=p).values, chosen.r_draws.sel(pair=p).values)
            for p in (earlier, later)
        )
        # That both codes are there rests on the evaluation half, and so does the order.
        sizes = {"n": int(half["size"]), "clusters": int(half["scenes"])}
        return estimate_order(first, second, level=self.look.level, **sizes)

    def agreement(self, pair: str, theirs: Sequence[float] | None) -> Estimate:
        """Correlation over layers of this curve with the published one of the same subject."""
        if theirs is None:
            return Estimate.inapplicable("the paper shows no curve of this subject")
        chosen = self.data.sel(pair=pair, half="all")
        if len(theirs) != chosen.sizes["layer"]:
            raise ValueError(
                f"the published curve has {len(theirs)} layers, the subject {chosen.sizes['layer']}"
            )
        curves = np.vstack([chosen.r.values, chosen.r_draws.values])
        r = [np.corrcoef(curve, theirs)[0, 1] for curve in curves]
        return self._estimate(float(r[0]), np.array(r[1:]))

    def permutation_p(self, pair: str) -> float:
        """Chance of so high a peak over layers if items were labelled at random (Mantel, all trials)."""
        null = self.data.null.sel(pair=pair).values
        highest = np.nanmax(self.data.r.sel(pair=pair, half="all").values)
        return float((1 + (null >= highest).sum()) / (1 + len(null)))

    def _explain_missing(self, *pairs: str) -> Estimate | None:
        for pair in pairs:
            strength, chance = self.strength(pair), self.permutation_p(pair)
            if strength.value is None:
                return strength
            known = chance < 1 - self.look.level
            low, high = self._find_bounds(strength)
            if low > PRESENT and known:
                continue
            what, where = pair.split("@")
            place = {"mentions": "the mentions", "last": "the last token"}[where]
            surely = high < PRESENT or not (known or self.look.early)
            verb = ("are" if what == "features" else "is") + (" not" if surely else " not surely")
            return make_missing(
                f"{what} {verb} represented at {place}: peak r {strength.value:.2f} "
                f"[{low:.2f}, {high:.2f}], where {PRESENT:.2f} would count "
                f"(permutation p = {chance:.3f})",
                surely=surely,
                n=strength.n,
                clusters=strength.clusters,
            )
        return None

    def _read(
        self, pair: str, reduce: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> Estimate:
        """What `reduce` makes of the curve [L] of the evaluation half, and of each of its draws [D, L]."""
        chosen = self.data.sel(pair=pair, half="evaluation")
        return self._estimate(
            float(reduce(chosen.r.values)), np.asarray(reduce(chosen.r_draws.values), float)
        )

    def _estimate(self, value: float, draws: NDArray[np.float64]) -> Estimate:
        half = self.data.sel(half="evaluation")
        n, clusters = int(half["size"]), int(half["scenes"])
        return estimate_drawn(value, draws, n=n, clusters=clusters)


def _spell_pair(pair: str) -> str:
    """A pair in words: "position at the last token" for "position@last"."""
    what, where = pair.split("@")
    return f"{what} at the {where}{' token' * (where == 'last')}"
