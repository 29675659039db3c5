"""Whether clean position IDs repair answers where objects share features (appendix D)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from harness.readings.decoding import CELLS, explain_unreadable
from harness.readings.reading import (
    Reading,
    count_trials,
    estimate_gain,
    estimate_share,
    select_half,
)
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate
from harness.statistics.least import take_least
from harness.statistics.shares import add_shares, subtract_shares

TESTABLE = 0.85
"""Above this accuracy with low entropy there is little to repair (protocol, E12)."""


class Repair(Reading):
    """Turns answers with and without prototypes into differences of accuracy, on the evaluation half."""

    def gain(self, *, color: bool = False) -> Estimate:
        """How much more often the object is named right with the prototype of its position.

        Args:
            color: Compare the color alone; else color and shape, if the subject says both.
        """
        chosen, of = self._evaluation, "_color" if color else ""
        plain, repaired = chosen[f"plain{of}"], chosen[f"repaired{of}"]
        return (
            self._explain_few_errors(plain)
            or self._explain_no_ids(int(self.data.heads))
            or self._tell_scored(estimate_gain(repaired, plain, chosen.scene), color)
        )

    def gain_where_wrong(self) -> Estimate:
        """How much larger the gain is where the last token pointed to a wrong position than elsewhere."""
        chosen = self._evaluation
        missing = (
            self._explain_few_errors(chosen.plain)
            or self._explain_no_ids(int(self.data.heads))
            or explain_unreadable(
                self.data.held.values,
                self.data.decoded.values,
                self.data.clear_scene.values,
                self.look,
            )
        )
        if missing:
            return missing
        wrong, scenes = ~chosen.points_right.values, chosen.scene.values
        clusters = min(len(np.unique(scenes[of])) for of in (wrong, ~wrong))
        n = int(min(wrong.sum(), (~wrong).sum()))
        if clusters < MINIMUM_CLUSTERS:
            return Estimate.inapplicable(
                f"the last token points wrong in {wrong.sum()} of {len(wrong)} scenes: too few of one "
                "kind to compare",
                n=n,
                clusters=clusters,
            )
        plain, repaired = chosen.plain.values, chosen.repaired.values
        there, elsewhere = (
            subtract_shares(repaired[of], plain[of], scenes[of]) for of in (wrong, ~wrong)
        )
        return self._tell_scored(add_shares([(1, there), (-1, elsewhere)], n=n, clusters=clusters))

    def harm(self) -> Estimate:
        """How much less often the object is named right with the prototype of a wrong position than of its own.

        Any damage makes answers wrong; both prototypes take as much away, and one points to the object.
        """
        chosen = self._evaluation
        return (
            self._explain_guesses(chosen)
            or self._explain_no_ids(int(self.data.misled_heads))
            or self._tell_scored(estimate_gain(chosen.kept, chosen.misled, chosen.scene))
        )

    def misled(self) -> Estimate:
        """How much more often the object at a wrong position is named with its ID than under two controls.

        The stronger one counts. They are a random vector, and the prototype of the true position in the same
        heads: where any prototype takes the answer away, guesses fall on that object as well.
        """
        chosen = self._evaluation
        wrong = chosen.follows.sel(edit="wrong position")
        gains = [
            estimate_gain(wrong, chosen.follows.sel(edit=control), chosen.scene)
            for control in ("random vector", "true position")
        ]
        return (
            self._explain_guesses(chosen)
            or self._explain_no_ids(int(self.data.misled_heads))
            or self._tell_scored(take_least(gains))
        )

    @property
    def _evaluation(self) -> xr.Dataset:
        return select_half(self.data, "evaluation")

    def _explain_few_errors(self, plain: xr.DataArray) -> Estimate | None:
        share = float(plain.values.mean())
        if share <= TESTABLE:
            return None
        return Estimate.inapplicable(
            f"{share:.0%} of low-entropy scenes are named right: little to repair",
            **count_trials(self._evaluation.scene),
        )

    def _explain_guesses(self, chosen: xr.Dataset) -> Estimate | None:
        """Nothing can be harmed or led astray where answers are guesses already."""
        plain = estimate_share(chosen.plain, chosen.scene)
        guessed = 1 / 3 if "alone" in self.data.attrs["scored"] else 1 / CELLS
        lowest, _ = self._find_bounds(plain)
        if lowest > guessed:
            return None
        return Estimate.inapplicable(
            f"{plain.value:.0%} of low-entropy scenes are named right ({self.data.attrs['scored']}), and "
            f"guessing gives {guessed:.0%}: no answer to lead astray",
            **count_trials(chosen.scene),
        )

    def _explain_no_ids(self, heads: int) -> Estimate | None:
        sizes = count_trials(self._evaluation.scene)
        if int(self.data.ranked) and not heads:
            return Estimate.inapplicable(
                "no clear scene of some position is named right, so that there is no ID of it to put in",
                **sizes,
            )
        return self._explain_no_heads(heads, "no head selects an ID: none to put one in", sizes)

    def _tell_scored(self, estimate: Estimate, color: bool = False) -> Estimate:
        """The same estimate, whose method says what of an answer was compared."""
        scored = "color alone" if color else self.data.attrs["scored"]
        return replace(estimate, method=f"{estimate.method}; {scored}")
