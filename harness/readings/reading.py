"""What the readings of all experiments share: a measurement, and the ways in which it can tell nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate, proportion
from harness.statistics.looks import ALL_TRIALS, Look
from harness.statistics.shares import subtract_shares


class Sizes(TypedDict):
    """How many trials an estimate rests on, and how many scenes they show."""

    n: int
    clusters: int


@dataclass(frozen=True)
class Reading:
    """Turns the measurement of one experiment into estimates; nothing is measured, and no torch is needed.

    Most readings have a method `_explain_missing`. Where there is nothing to estimate, it returns an estimate
    without a value that says why, else None; so methods begin with `return self._explain_missing() or ...`.

    Attributes:
        data: What the experiment measured.
        look: The look at which it is read: what counts as present is told by intervals of the look's level.
    """

    data: xr.Dataset
    look: Look = ALL_TRIALS

    def task_accuracy(self) -> Estimate | None:
        """How often the subject does the task on these very trials; None if the measurement does not tell.

        Claims are blocked where it is surely less than the experiment asks for.
        """
        return None

    def _find_bounds(self, estimate: Estimate) -> tuple[float, float]:
        """Ends of the interval by which something counts as present or absent."""
        return estimate.interval(self.look.level)

    def _explain_no_heads(
        self,
        heads: int,
        reason: str,
        sizes: Sizes | None = None,
        stage: str = "id_selection",
    ) -> Estimate | None:
        """The estimate of an edit for which no head was found; None if there are heads.

        Where mediation neither surely finds a head of the stage nor rules out one worth finding, it is not
        known whether there are heads, and an edit of those that score most by luck would refute nothing.

        Args:
            heads: How many were found.
            reason: Why there is nothing to edit.
            sizes: Trials and scenes; those of the whole measurement if None.
            stage: Whose heads are edited.
        """
        if heads:
            return None
        if stage in str(self.data.attrs.get("unranked", "")).split():
            return Estimate.unsettled(
                "mediation surely finds no head that could be edited, and rules none out: raise --trials",
                **(sizes or count_trials(self.data.scene)),
            )
        return Estimate.absent(reason, **(sizes or count_trials(self.data.scene)))

    def _explain_few_others(self, wanted: int, others: int) -> Estimate | None:
        """The estimate of a comparison with other heads where too few could be drawn, or None.

        Heads that matter for a stage are never drawn, so that in a small subject too few may be left.

        Args:
            wanted: How many heads were edited.
            others: How many others were edited in their place, at least.
        """
        if others >= wanted:
            return None
        return Estimate.inapplicable(
            f"{wanted} heads are edited, and of those that matter for no stage only {others} are left to be "
            "edited in their place: nothing to compare with",
            **count_trials(self.data.scene),
        )


def count_trials(scenes: xr.DataArray | NDArray[np.str_]) -> Sizes:
    """Count the trials and the different scenes among them, from the scene of each trial [n]."""
    return {"n": len(scenes), "clusters": len(np.unique(scenes))}


def select_half(data: xr.Dataset, half: str, labels: str = "part") -> xr.Dataset:
    """The trials of one half.

    Args:
        data: A measurement with the dimension `trial`.
        half: "estimation" or "evaluation".
        labels: The variable that names the half of each trial.
    """
    return data.isel(trial=np.flatnonzero(data[labels].values == half))


def read_value(estimate: Estimate) -> float:
    """The value of an estimate that must have one.

    Raises:
        ValueError: It has none; the message says why.
    """
    if estimate.value is None:
        raise ValueError(f"there is no value to compare: {estimate.reason}")
    return estimate.value


def estimate_share(outcomes: xr.DataArray, scenes: xr.DataArray) -> Estimate:
    """Share of trials [n] of which something is true; Wilson interval, clustered by scene [n]."""
    return proportion(outcomes.values.astype(bool), scenes.values)


def estimate_gain(
    values: xr.DataArray | NDArray[Any], base: xr.DataArray | NDArray[Any], scenes: xr.DataArray
) -> Estimate:
    """Share of trials [n] where `values` is true less that where `base` is; interval clustered by scene [n].

    If `base` is asked with something drawn, such as random heads, the draw of each trial stands for its scene.

    Raises:
        ValueError: A value is neither 0 nor 1: scores have no share.
    """
    return subtract_shares(np.asarray(values), np.asarray(base), scenes.values)


def estimate_drawn(value: float, draws: NDArray[np.float64], *, n: int, clusters: int) -> Estimate:
    """Make an estimate of bootstrap draws [D]; an unsettled one if some draws have no value.

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


def make_missing(reason: str, *, surely: bool, n: int, clusters: int) -> Estimate:
    """An estimate of something that is surely absent, or else of which it is unknown whether it is there."""
    return (Estimate.absent if surely else Estimate.unsettled)(reason, n=n, clusters=clusters)
