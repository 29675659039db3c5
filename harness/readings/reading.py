"""What the readings of all experiments share: a measurement, and the ways in which it can tell nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.looks import ALL_TRIALS, Look


class Sizes(TypedDict):
    """How many trials an estimate rests on, and how many scenes they show."""

    n: int
    clusters: int


@dataclass(frozen=True)
class Reading:
    """Turns the measurement of one experiment into estimates; nothing is measured, and no torch is needed.

    Attributes:
        data: What the experiment measured.
        look: At which look it is read: something counts as present by intervals of the look's level.
    """

    data: xr.Dataset
    look: Look = ALL_TRIALS

    def task_accuracy(self) -> Estimate | None:
        """How often the subject does the task on these very trials; None if the measurement does not tell."""
        return None

    def _bounds(self, estimate: Estimate) -> tuple[float, float]:
        """Ends of the interval by which something counts as present or absent."""
        return estimate.interval(self.look.level)

    def _no_heads(self, heads: int, reason: str, scenes: NDArray | None = None) -> Estimate | None:
        """The estimate of an edit for which no head was found; None if there are heads.

        Args:
            heads: How many were found.
            reason: Why there is nothing to edit.
            scenes: Of the trials, [n]; those of the measurement if None.
        """
        if heads:
            return None
        return Estimate.absent(
            reason, **count(self.data.scene.values if scenes is None else scenes)
        )


def count(scenes: NDArray) -> Sizes:
    """Trials and scenes, from the scene of each trial [n]."""
    return {"n": len(scenes), "clusters": len(np.unique(scenes))}


def estimate_drawn(value: float, draws: NDArray, *, n: int, clusters: int) -> Estimate:
    """An estimate from bootstrap draws [D]; unsettled if the scenes of some draws do not vary.

    A draw of few scenes can be one target over and over, and has no correlation.
    """
    broken = int((~np.isfinite(draws)).sum())
    if broken:
        return Estimate.unsettled(
            f"{broken} of {len(draws)} draws of {clusters} scenes have no variation to correlate: "
            "raise --trials",
            n=n,
            clusters=clusters,
        )
    return from_draws(value, draws, n=n, clusters=clusters)
