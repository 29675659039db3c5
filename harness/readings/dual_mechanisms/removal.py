"""How right answers are once vision's ordering is removed (section 5.3.1, Figure 8 and Table 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.readings.reading import Reading, count_trials, estimate_gain
from harness.statistics.estimate import Estimate, proportion

KNOWN = 0.90
"""Least share of colors that a subject must tell right before anything is removed, to be asked again after."""


class Removal(Reading):
    """Turns answers with and without the ordering into shares."""

    def drop(self) -> Estimate:
        """How much less often the answer is right without the ordering (D1)."""
        if missing := self._explain_missing():
            return missing
        before, after = self._right
        return estimate_gain(before, after, self.data.scene)

    def left(self) -> Estimate:
        """Share of right answers without the ordering (D2).

        A guess is right in one of three cases among all items, and in one of two among those not named.
        """
        return self._explain_missing() or proportion(self._right[1], self.data.scene.values)

    def named(self) -> Estimate:
        """Share of targets whose color is told by their shape without the ordering (D3)."""
        if missing := self._explain_missing():
            return missing
        if "named" not in self.data:
            return Estimate.inapplicable("squares have one shape, by which none can be asked for")
        before, after = self.data.named.values.astype(bool)
        usual = proportion(before, self.data.scene.values)
        if self._find_bounds(usual)[1] < KNOWN:
            return Estimate.inapplicable(
                f"it tells {usual.value:.2f} of the colors with the image as it is",
                **count_trials(self.data.scene),
            )
        return proportion(after, self.data.scene.values)

    def by_direction(self) -> dict[str, float]:
        """Share of right answers without the ordering for each direction that is asked."""
        asked, after = self.data.direction.values, self._right[1]
        return {d: float(after[asked == d].mean()) for d in sorted(set(asked.tolist()))}

    @property
    def _right(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each answer is right with the image as it is, and without the ordering, [trial] each."""
        before, after = (self.data.said.sel(condition=c).values for c in ("before", "after"))
        answer = self.data.answer.values
        return before == answer, after == answer

    def _explain_missing(self) -> Estimate | None:
        if reason := self.data.attrs.get("no_tokens"):
            return Estimate.inapplicable(f"the items of a row have no image tokens: {reason}")
        return None
