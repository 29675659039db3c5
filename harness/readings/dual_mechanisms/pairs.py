"""What the readings of pairs of rows share: why there is nothing to read, directions, and choices by halves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.readings.reading import Reading, count_trials
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate
from harness.statistics.least import take_least

FEWEST = 4
"""Kept pairs of one direction below which nothing is said of that direction."""

Estimator = Callable[[NDArray[np.bool_]], Estimate]
"""Makes an estimate of some of the trials."""


class PairReading(Reading):
    """Reads measurements on pairs of rows of which both sides are answered right."""

    def _explain_missing(self) -> Estimate | None:
        """The estimate where there are no tokens of items, or too few pairs; None if there are enough."""
        if reason := self.data.attrs.get("no_tokens"):
            return Estimate.inapplicable(f"the items of a row have no image tokens: {reason}")
        kept = int(self.data.attrs.get("kept", 0))
        drawn = int(self.data.attrs.get("drawn", 0))
        if kept and len(np.unique(self.data.scene.values)) >= MINIMUM_CLUSTERS:
            return None
        return Estimate.unsettled(
            f"{kept} of {drawn} pairs are answered right on both sides, too few: raise --trials",
            n=kept,
        )

    def _select(self, half: str) -> NDArray[np.bool_]:
        """The trials of one half, bool [trial]; "estimation", "evaluation", or "all"."""
        part = self.data.part.values
        return np.ones(len(part), bool) if half == "all" else part == half

    def _least_direction(self, estimate: Estimator, chosen: NDArray[np.bool_]) -> Estimate:
        """The least estimate over the directions that are asked; directions of very few pairs are left out."""
        asked = self.data.direction.values
        members = [chosen & (asked == d) for d in dict.fromkeys(sorted(asked.tolist()))]
        enough = [m for m in members if m.sum() >= FEWEST]
        if not enough:
            return Estimate.unsettled(
                f"no direction has {FEWEST} pairs: raise --trials",
                **count_trials(self.data.scene.values[chosen]),
            )
        return take_least([estimate(m) for m in enough])


def find_largest_slot(curves: xr.DataArray, chosen: NDArray[np.bool_], slots: range) -> int:
    """The slot of a range at which the mean of [slot, trial] over chosen trials is largest."""
    means = curves.transpose("slot", "trial").values[:, chosen].mean(1)
    return slots.start + int(means[slots.start : slots.stop].argmax())


def find_middle_slots(count: int, first: float, last: float) -> range:
    """The slots within a share of the depth, of `count` slots; at least one.

    Args:
        count: One more than there are layers; slot 0 is at depth 0, the last at 1.
        first: The least depth.
        last: The largest depth.
    """
    depth = count - 1
    begin = int(np.ceil(first * depth - 1e-9))
    return range(begin, max(begin + 1, int(np.floor(last * depth + 1e-9)) + 1))
