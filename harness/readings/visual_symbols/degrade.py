"""Whether degraded IDs make errors, and those errors that the degraded ID points to (section 4.5, cause)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.readings.reading import Reading, count_trials, estimate_gain, estimate_share
from harness.statistics.estimate import Estimate
from harness.statistics.halves import draw_estimation_half
from harness.statistics.least import take_least

ANSWERED = 1 / 3
"""Scenes that must be named right without an edit for errors to mean anything: three times chance."""


class Degrade(Reading):
    """Turns answers under degraded IDs into differences from those under no edit, or under another one."""

    def answered(self) -> Estimate:
        """Share of scenes whose object is named right without an edit."""
        return estimate_share(self._select("other cell", 0.0).right, self.data.scene)

    def errors(self) -> Estimate:
        """How many more answers are wrong with the whole ID of another cell than with that of their own cell.

        Any damage makes errors. The mean of the own cell in the same heads takes as much away, and leaves the
        ID.
        """
        kept, degraded = (self._select(edit, 1.0).right for edit in ("own cell", "other cell"))
        return self._explain_missing() or estimate_gain(kept, degraded, self.data.scene)

    def follows(self, control: str) -> Estimate:
        """How much more often the object of the mixed-in cell is named than under the stronger of two controls.

        One control is the mean of the own cell in the same heads: where any mean takes the answer away, guesses
        fall on that object as well.

        Args:
            control: The other one, "random direction" or "other heads".
        """
        edited = self._select("other cell", 1.0).follows
        gains = [
            estimate_gain(edited, self._select(other, 1.0).follows, self.data.scene)
            for other in (control, "own cell")
        ]
        missing = self._explain_missing()
        if control == "other heads":
            missing = missing or self._explain_few_others(
                int(self.data.heads), int(self.data.others)
            )
        return missing or take_least(gains)

    def smallest_step(self) -> Estimate:
        """How many more answers name the mixed-in cell's object at the step of degradation that adds fewest.

        The step is chosen on half of the scenes and judged on the other half. Not applicable where no answer
        follows the ID further than that of the own cell: a curve that is flat does not fall.
        """
        missing = self._explain_missing()
        if missing:
            return missing
        curve = self.data.follows.sel(edit="other cell").transpose("trial", "step")
        values, scenes = curve.values.astype(float), self.data.scene.values
        guessed = self._select("own cell", 1.0).follows
        grown = take_least(
            [
                estimate_gain(values[:, -1], base, self.data.scene)
                for base in (values[:, 0], guessed)
            ]
        )
        low, high = self._find_bounds(grown)
        if low <= 0:
            unknown = Estimate.unsettled if high > 0 and grown.value else Estimate.inapplicable
            return unknown(
                "no more answers name the mixed-in cell's object than without an edit, or than with the own "
                "cell's mean: no dose to follow",
                **count_trials(scenes),
            )
        steps = np.diff(values, axis=1)
        chosen = draw_estimation_half(scenes, np.random.default_rng(0))
        fewest = int(steps[chosen].mean(0).argmin())
        judged = self.data.scene[~chosen]
        return estimate_gain(values[~chosen, fewest + 1], values[~chosen, fewest], judged)

    def _select(self, edit: str, step: float) -> xr.Dataset:
        return self.data.sel(edit=edit, step=step)

    def _explain_missing(self) -> Estimate | None:
        clean = self.answered()
        low, high = self._find_bounds(clean)
        if low <= ANSWERED:
            missing = Estimate.inapplicable if high < ANSWERED else Estimate.unsettled
            return missing(
                f"{clean.value:.0%} of clear scenes are named right: no answers that could turn wrong",
                **count_trials(self.data.scene),
            )
        if int(self.data.ranked) and not int(self.data.heads):
            return Estimate.inapplicable(
                "too few trials were answered right for the IDs of two positions to be known",
                **count_trials(self.data.scene),
            )
        return self._explain_no_heads(
            int(self.data.heads), "no head selects an ID: none to degrade"
        )
