"""Which trials choose and which judge: the two halves of an experiment, and the scenes that ranked heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.statistics.halves import draw_estimation_half
from harness.stimuli.contrast import CONDITIONS, Condition
from harness.stimuli.prompt import Trial

Item = TypeVar("Item")

HALF_NAMES = ("estimation", "evaluation")


@dataclass(frozen=True)
class Halves:
    """Trials dealt out to two halves, all trials about one scene to the same one.

    Attributes:
        scenes: The scene of each trial [n].
        first: Which trials belong to the estimation half, bool [n]; all others belong to the evaluation half.
    """

    scenes: NDArray[np.str_]
    first: NDArray[np.bool_]

    @classmethod
    def deal(cls, scenes: NDArray[np.str_], rng: np.random.Generator) -> Halves:
        """Deal the trials out to the halves at random, all trials about one scene to the same half.

        Raises:
            ValueError: Fewer than two scenes.
        """
        return cls(scenes, draw_estimation_half(scenes.tolist(), rng))

    @property
    def second(self) -> NDArray[np.bool_]:
        """Which trials belong to the evaluation half, bool [n]."""
        return ~self.first

    @property
    def names(self) -> NDArray[np.str_]:
        """The name of each trial's half, one of HALF_NAMES, [n]."""
        return np.where(self.first, *HALF_NAMES)

    def split(self, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        """One item for each trial, separated into those of the first half and those of the second."""
        sides: tuple[list[Item], list[Item]] = ([], [])
        for item, first in zip(items, self.first.tolist(), strict=True):
            sides[0 if first else 1].append(item)
        return sides


def list_scenes(trials: Sequence[Trial]) -> NDArray[np.str_]:
    """The key of each trial's scene [n]; trials with the same key show the same image."""
    return np.array([t.scene.key for t in trials])


def list_ranked_scenes(mediation: xr.Dataset, stages: Sequence[Condition] = CONDITIONS) -> set[str]:
    """The keys of all scenes by which the mediation experiment ranked heads, those of both sides of a contrast.

    An experiment that edits these heads must judge them on other scenes.

    Args:
        mediation: The measurement of the mediation experiment.
        stages: The stages whose heads are used.
    """
    chosen = mediation.sel(condition=list(stages))
    keys = {str(k) for name in ("scene", "counterfactual_scene") for k in chosen[name].values.flat}
    return keys - {""}
