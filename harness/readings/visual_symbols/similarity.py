"""Where in the layers positions and features are represented (section 3.3, A.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.measures.similarity import find_peak
from harness.readings.reading import Reading, Sizes, estimate_drawn, make_missing
from harness.statistics.estimate import Estimate
from harness.statistics.evidence import Evidence
from harness.statistics.orders import Code, estimate_order, find_onset
from harness.statistics.shares import add_shares, mean_share

PRESENT = 0.10
"""Below this peak a code counts as absent, so that it has no peak to come first.

The paper reads low-entropy values of 0.09 and less in LLaVA-1.5 as IDs that are not there (section 4.5).
"""


MENTIONS = {"position@mentions": ("position@separator", "position@noun", "position@color")}
"""The tokens of a mention where a pair is measured."""


class Similarity(Reading):
    """Turns RSA curves into peaks. Pairs are "position@last", "features@last", "position@mentions".

    Mentions are read at one of their tokens: the one with the highest peak on the estimation half.
    """

    def locate(self, pair: str) -> str:
        """The pair as it was measured: for mentions at the token where the estimation half peaks highest."""
        measured, r = self._list_measured(pair), self.data.r.sel(half="estimation")
        return max(measured, key=lambda p: float(r.sel(pair=p).fillna(-np.inf).max()))

    def peak_layer(self, pair: str, half: str = "estimation") -> int:
        """Where the curve of one half is highest."""
        return find_peak(self.data.r.sel(pair=self.locate(pair), half=half).values)

    def strength(self, pair: str) -> Estimate:
        """r at the peak layer: the layer chosen on the estimation half, r read on the evaluation half."""
        return self._read(pair, lambda curve: curve[..., self.peak_layer(pair)])

    def late(self, pair: str) -> Estimate:
        """r at the best of the last quarter of the layers: chosen on one half, read on the other."""
        quarter = -(-self.data.sizes["layer"] // 4)
        first = self.data.sizes["layer"] - quarter
        chosen = self.data.r.sel(pair=self.locate(pair), half="estimation").values[first:]
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
        return int(find_onset(self.data.r.sel(pair=self.locate(pair), half="all").values))

    def gap(self, earlier: str, later: str) -> Estimate:
        """Layers from the onset of one pair to that of another, see `harness.statistics.orders`.

        A code that is absent has no onset, and neither has the order.
        """
        if missing := self._explain_missing(earlier, later):
            return missing
        chosen, half = self.data.sel(half="all"), self.data.sel(half="evaluation")
        first, second = (
            Code(_spell_pair(p), chosen.r.sel(pair=p).values, chosen.r_draws.sel(pair=p).values)
            for p in map(self.locate, (earlier, later))
        )
        # That both codes are there rests on the evaluation half, and so does the order.
        sizes: Sizes = {"n": int(half["size"]), "clusters": int(half["scenes"])}
        found = estimate_order(first, second, level=self.look.level, **sizes)
        return _tell_token(_tell_token(found, self.locate(earlier)), self.locate(later))

    def agreement(self, pair: str, theirs: Sequence[float] | None) -> Estimate:
        """Correlation over layers of this curve with the published one of the same subject."""
        if theirs is None:
            return Estimate.inapplicable("the paper shows no curve of this subject")
        chosen = self.data.sel(pair=self.locate(pair), half="all")
        if len(theirs) != chosen.sizes["layer"]:
            raise ValueError(
                f"the published curve has {len(theirs)} layers, the subject {chosen.sizes['layer']}"
            )
        curves = np.vstack([chosen.r.values, chosen.r_draws.values])
        r = [np.corrcoef(curve, theirs)[0, 1] for curve in curves]
        return self._estimate(float(r[0]), np.array(r[1:]))

    def permutation_p(self, pair: str) -> float:
        """Chance of so high a peak over layers, and tokens of mentions, if items were labelled at random.

        Mantel's test on all trials: the highest of all that could have been chosen against the highest of the
        same under each permutation.
        """
        of = self.data.sel(pair=self._list_measured(pair))
        null, highest = of.null.max("pair").values, float(of.r.sel(half="all").max())
        return float((1 + (null >= highest).sum()) / (1 + len(null)))

    def readable(self, pair: str) -> Estimate:
        """How much more often than by chance a linear probe reads the code, from 0 up to 1 less chance.

        The layer, and the token of mentions, are those where probes read most on held-out scenes of the
        estimation half. The probe is learned on that half and judged on the other; chance is what probes get
        right that learned shuffled labels. Of features it is read which object is the target.
        """
        measured = self._list_measured(pair)
        chosen = self.data.probe_chosen.sel(pair=measured).values
        token, layer = (int(i) for i in np.unravel_index(chosen.argmax(), chosen.shape))
        at = self.data.sel(pair=measured[token], layer=layer)
        scenes = at.judged_scene.values
        right = mean_share(at.probe_right.values, scenes)
        chance = mean_share(at.probe_chance.values, scenes)
        gain = add_shares([(1, right), (-1, chance)], n=right.n, clusters=right.clusters)
        gains = Evidence(at.probe_right.values - at.probe_chance.values, tuple(map(str, scenes)))
        return _tell_token(replace(gain, evidence=gains), measured[token])

    def _list_measured(self, pair: str) -> list[str]:
        """The pairs of the measurement that a pair stands for: for mentions one for each of their tokens."""
        known = self.data.pair.values.tolist()
        return [p for p in MENTIONS.get(pair, (pair,)) if p in known]

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
        located = self.locate(pair)
        chosen = self.data.sel(pair=located, half="evaluation")
        found = self._estimate(
            float(reduce(chosen.r.values)), np.asarray(reduce(chosen.r_draws.values), float)
        )
        return _tell_token(found, located)

    def _estimate(self, value: float, draws: NDArray[np.float64]) -> Estimate:
        half = self.data.sel(half="evaluation")
        n, clusters = int(half["size"]), int(half["scenes"])
        return estimate_drawn(value, draws, n=n, clusters=clusters)


def _spell_pair(pair: str) -> str:
    """A pair in words: "position at the last token" for "position@last"."""
    what, where = pair.split("@")
    return f"{what} at the " + ("last token" if where == "last" else f"{where} of mentions")


def _tell_token(estimate: Estimate, measured: str) -> Estimate:
    """The same estimate, whose method says at which token of mentions it was read."""
    token = measured.partition("@")[2]
    if token == "last":
        return estimate
    return replace(estimate, method=f"{estimate.method}; at the {token}")
