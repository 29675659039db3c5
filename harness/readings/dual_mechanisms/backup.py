"""Whether the decoder orders items by itself where vision gives no ordering (section 5.3.2, Figure 9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.readings.dual_mechanisms.pairs import (
    PairReading,
    find_largest_slot,
    find_middle_slots,
)
from harness.readings.reading import count_trials
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, proportion
from harness.statistics.least import take_least
from harness.statistics.shares import subtract_mean_shares

GUESSED = 0.25
"""Share of pairs of which a guess between two items gets both sides right."""

DEPTHS = (0.30, 0.75)
"""Depths between which the decoder is said to order items (protocol, claim E1)."""

RUN = 3 / 28
"""Share of the layers that a run must have: three of Qwen2-VL-7B's."""


class Backup(PairReading):
    """Turns probabilities under exchanges of items without ordering into differences."""

    def kept(self) -> Estimate:
        """Share of pairs of which both sides are answered right without the ordering."""
        return self._explain_no_tokens() or proportion(
            self.data.kept.values.astype(bool), self.data.kept_scene.values
        )

    def rebuilt(self) -> Estimate:
        """The least lead of the counterfactual answer over a run of middle layers with items exchanged (E1).

        The run is chosen on the estimation half.
        """
        if missing := self._explain_missing():
            return missing
        moved, kept = self._curve("objects", "c2"), self._curve("objects", "c0")
        slots = find_middle_slots(len(moved), *DEPTHS)
        width = max(1, round(RUN * (len(moved) - 1)))
        starts = range(slots.start, max(slots.start + 1, slots.stop - width + 1))
        chosen, judged = self._select("estimation"), self._select("evaluation")
        lead = (moved - kept)[:, chosen].mean(1)
        begin = max(starts, key=lambda s: lead[s : s + width].min())
        scenes = self.data.scene.values[judged]
        return take_least(
            [
                subtract_mean_shares(moved[slot, judged], kept[slot, judged], scenes)
                for slot in range(begin, min(begin + width, len(moved)))
            ]
        )

    def rise(self, kind: str = "objects") -> Estimate:
        """How much likelier exchanged items make the counterfactual answer at their peak than at slot 0 (E2).

        The slot is chosen on the estimation half by exchanged items, whatever `kind` is.
        """
        if missing := self._explain_missing():
            return missing
        moved = self._curve(kind, "c2")
        slot = find_largest_slot(
            self.data.swapped.sel(kind="objects", word="c2"),
            self._select("estimation"),
            range(len(moved)),
        )
        chosen = self._select("evaluation")
        return subtract_mean_shares(
            moved[slot, chosen], moved[0, chosen], self.data.scene.values[chosen]
        )

    def rise_of_background(self) -> Estimate:
        """The same with background tokens exchanged (E3); not applicable where items do not surely rise."""
        if missing := self._explain_missing():
            return missing
        if not self._find_bounds(self.rise())[0] > 0:
            return Estimate.inapplicable(
                "exchanged items raise nothing, so that exchanged background raises nothing says nothing",
                **count_trials(self.data.scene),
            )
        return self.rise("background")

    def _curve(self, kind: str, word: str) -> NDArray[np.float64]:
        """Probability of a word under an exchange at each slot, [slot, trial]."""
        chosen = self.data.swapped.sel(kind=kind, word=word)
        return np.clip(chosen.transpose("slot", "trial").values, 0, 1)

    def _explain_no_tokens(self) -> Estimate | None:
        if reason := self.data.attrs.get("no_tokens"):
            return Estimate.inapplicable(f"the items of a row have no image tokens: {reason}")
        return None

    def _explain_missing(self) -> Estimate | None:
        """The estimate where too few pairs are answered right without the ordering; None if enough are.

        Where they are surely fewer than guesses get right, there is no ordering left to be moved.
        """
        if missing := self._explain_no_tokens():
            return missing
        found = self.kept()
        if "swapped" in self.data and len(np.unique(self.data.scene)) >= MINIMUM_CLUSTERS:
            return None
        few = int(self.data.kept.values.sum())
        reason = f"{few} of {found.n} pairs are answered right on both sides without the ordering"
        if self._find_bounds(found)[1] < GUESSED:
            return Estimate.absent(f"{reason}, fewer than guesses are", found.n, found.clusters)
        return Estimate.unsettled(f"{reason}, too few: raise --trials", found.n, found.clusters)
