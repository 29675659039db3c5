"""Whether places of items can be read from image tokens at the decoder's input (section 5.2.1)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import Reading, count_trials
from harness.statistics.estimate import Estimate
from harness.statistics.shares import mean_share, subtract_mean_shares

LUCK = 0.45
"""Probes that may do better than this with shuffled places make up what they read (protocol, claim B1)."""


class Probes(Reading):
    """Turns shares of tokens that probes label rightly into estimates."""

    def read(self) -> Estimate:
        """Share of the tokens of new items that are labelled with their place along the row (B1).

        Unsettled where probes that learned shuffled places may do better than by chance.
        """
        if missing := self._explain_missing():
            return missing
        chance = self._share("chance")
        if self._find_bounds(chance)[1] > LUCK:
            return Estimate.unsettled(
                f"probes that learned shuffled places are right in {chance.value:.2f} of the tokens, where a "
                "third is chance: raise --trials",
                **count_trials(self.data.scene),
            )
        return self._share("right")

    def inside(self) -> Estimate:
        """Share of the background tokens of each strip that are labelled with the strip's item (B2)."""
        return self._explain_missing() or self._share("inside")

    def more_than_empty(self) -> Estimate:
        """How much larger that share is than in an empty image, which has no items to be ordered."""
        if missing := self._explain_missing():
            return missing
        inside, empty = (np.clip(self.data[name].values, 0, 1) for name in ("inside", "empty"))
        return subtract_mean_shares(inside, empty, self.data.scene.values)

    def relative(self) -> Estimate:
        """Share of the items' tokens of shifted rows that are labelled with their place along the row (B3)."""
        if missing := self._explain_missing():
            return missing
        if "relative" not in self.data:
            return Estimate.inapplicable("the items of shifted rows have no tokens of their own")
        return mean_share(np.clip(self.data.relative.values, 0, 1), self.data.shifted_scene.values)

    def _share(self, name: str) -> Estimate:
        return mean_share(np.clip(self.data[name].values, 0, 1), self.data.scene.values)

    def _explain_missing(self) -> Estimate | None:
        if reason := self.data.attrs.get("no_tokens"):
            return Estimate.inapplicable(f"the items of a row have no image tokens: {reason}")
        return None
