"""What a patched last token does to the answer at each slot (section 5.1, Figures 2 and 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.readings.reading import Sizes, count_trials
from harness.readings.row_pairs import PairReading, find_largest_slot
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS
from harness.statistics.orders import Code, estimate_order
from harness.statistics.shares import mean_share

STIRRED = 0.80
"""Where surely less than this share of the clean answer is left, the opposite donor moves something."""

THERE = 0.25
"""A word or place whose probability is surely nowhere above this is moved by no patch."""


class LastToken(PairReading):
    """Turns probabilities under patches of the last token into curves over slots."""

    @property
    def slots(self) -> int:
        """Number of slots, one more than there are layers."""
        return self.data.sizes["slot"]

    @property
    def band(self) -> int:
        """The slot at which the other outer item of the clean image is likeliest, by the estimation half."""
        return self._peak("c2")

    def ordinal(self) -> Estimate:
        """Mean probability of the clean image's item at the place that the donor asks for, at `band` (A1)."""
        return self._explain_missing() or self._share("opposite", "c2", self.band, "evaluation")

    def ordinal_in_each_direction(self) -> Estimate:
        """The same for the direction in which it is least."""
        if missing := self._explain_missing():
            return missing
        curve = self._curve("opposite", "c2")[self.band]
        scenes = self.data.scene.values
        return self._least_direction(
            lambda m: mean_share(curve[m], scenes[m]), self._select("evaluation")
        )

    def order(self) -> Estimate:
        """How many slots the onset of the place lies before that of the word (A2).

        Absent where either surely comes nowhere.
        """
        if missing := self._explain_missing():
            return missing
        scenes = self.data.scene.values
        sizes: Sizes = count_trials(scenes)
        for name, what in (("c2", "place"), ("c3", "word")):
            found = self._share("opposite", name, self._peak(name), "evaluation")
            if self._find_bounds(found)[1] < THERE:
                return Estimate.absent(f"no patch of the last token moves a {what}", **sizes)
        weights = draw_cluster_weights(scenes, DRAWS, np.random.default_rng(0))
        weights = weights / weights.sum(1, keepdims=True)
        place, word = (
            Code(name, curve.mean(1), weights @ curve.T)
            for name, curve in (
                ("the place at the last token", self._curve("opposite", "c2")),
                ("the word at the last token", self._curve("opposite", "c3")),
            )
        )
        return estimate_order(place, word, level=self.look.level, **sizes)

    def inert(self) -> Estimate:
        """Share of the clean answer's probability that is left at the worst slot of the first half (A3).

        The slot is chosen on the estimation half. Slot 0, where nothing can happen, is left out.
        """
        if missing := self._explain_missing():
            return missing
        early = range(1, (self.slots - 1) // 2 + 1)
        kept = self.data.patched.sel(donor="opposite", word="c0")
        worst = find_largest_slot(-kept, self._select("estimation"), early)
        return self._left("opposite", worst)

    def same_place(self) -> Estimate:
        """Share of the clean answer's probability that a donor of the same question leaves at `band` (A4).

        Not applicable where the donor of the opposite question surely moves nothing there either.
        """
        if missing := self._explain_missing():
            return missing
        moved = self._left("opposite", self.band)
        if not self._find_bounds(moved)[1] < STIRRED:
            return Estimate.inapplicable(
                "the donor of the opposite question moves hardly anything at the last token, so that the one "
                "of the same question moves nothing says nothing",
                **count_trials(self.data.scene),
            )
        return self._left("same", self.band)

    def _left(self, donor: str, slot: int) -> Estimate:
        """Share of each clean probability that a patch leaves, at most 1, on the evaluation half."""
        chosen = self._select("evaluation")
        before = self.data.clean.sel(word="c0").values
        left = np.minimum(1.0, self._curve(donor, "c0")[slot] / before)
        return mean_share(left[chosen], self.data.scene.values[chosen])

    def _share(self, donor: str, word: str, slot: int, half: str) -> Estimate:
        chosen = self._select(half)
        curve = self._curve(donor, word)[slot]
        return mean_share(curve[chosen], self.data.scene.values[chosen])

    def _peak(self, word: str) -> int:
        curves = self.data.patched.sel(donor="opposite", word=word)
        return find_largest_slot(curves, self._select("estimation"), range(self.slots))

    def _curve(self, donor: str, word: str) -> NDArray[np.float64]:
        """Probability of one word under the patch of each slot, [slot, trial]."""
        chosen = self.data.patched.sel(donor=donor, word=word)
        return np.clip(chosen.transpose("slot", "trial").values, 0, 1)
