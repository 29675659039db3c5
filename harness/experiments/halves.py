"""Which trials choose and which judge: the two halves of an experiment, and the scenes that ranked heads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import select_kept_scores
from harness.measures.mediation import SMALLEST, tell_carried
from harness.measuring.experiment import Measure, Request
from harness.statistics.halves import draw_estimation_half
from harness.stimuli.contrast import CONDITIONS, Condition
from harness.stimuli.prompt import Trial

Item = TypeVar("Item")

ROUNDS = 50
"""How many times the wanted number of trials is drawn before drawing is given up."""

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


def draw_unranked_trials(
    draw: Callable[[int], list[Trial]], trials: int, ranked: Collection[str]
) -> list[Trial]:
    """Draw trials until there are enough whose scenes ranked no heads.

    Args:
        draw: Draws a number of trials at random.
        trials: How many are wanted.
        ranked: Keys of the scenes that are passed over, see `list_ranked_scenes`.

    Returns:
        Trials in the order in which they were drawn.

    Raises:
        ValueError: Hardly any scene is left.
    """
    found: list[Trial] = []
    for _ in range(ROUNDS):
        found += [t for t in draw(trials) if t.scene.key not in ranked]
        if len(found) >= trials:
            return found[:trials]
    raise ValueError(
        f"of {ROUNDS * trials} trials drawn only {len(found)} show scenes that did not rank heads: "
        "lower the trials of the experiment mediation"
    )


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


def note_unranked(measure: Measure) -> Measure:
    """Let a measurement say, as its attribute `unranked`, of which stages mediation does not know any head.

    Too few contrasts were kept, or none, to tell whether the stage has heads; it is not that it has none.
    """

    @wraps(measure)
    def noted(request: Request) -> xr.Dataset:
        data, mediation = measure(request), request.needed.get("mediation")
        if mediation is None:
            return data
        unknown = [
            stage
            for stage in mediation.condition.values.tolist()
            if tell_carried(*select_kept_scores(mediation, stage), SMALLEST[stage]) is None
        ]
        return data.assign_attrs(unranked=" ".join(unknown))

    return noted
