"""Whether clean position IDs repair answers where objects share features (appendix D)."""

from __future__ import annotations

import xarray as xr

from harness.readings.reading import Reading, count_trials, estimate_gain, select_half
from harness.statistics.estimate import Estimate

TESTABLE = 0.85
"""Above this accuracy with low entropy there is little to repair (protocol, E12)."""


class Repair(Reading):
    """Turns answers with and without prototypes into differences of accuracy, on the evaluation half."""

    def gain(self) -> Estimate:
        """How much more often the object is named right with the prototype of its position."""
        chosen = select_half(self.data, "evaluation")
        return self._explain_missing(chosen) or estimate_gain(
            chosen.repaired, chosen.plain, chosen.scene
        )

    def harm(self) -> Estimate:
        """How much less often the object is named right with the prototype of a wrong position."""
        chosen = select_half(self.data, "evaluation")
        return self._explain_missing(chosen) or estimate_gain(
            chosen.plain, chosen.misled, chosen.scene
        )

    def _explain_missing(self, chosen: xr.Dataset) -> Estimate | None:
        plain, sizes = float(chosen.plain.values.mean()), count_trials(chosen.scene)
        if plain > TESTABLE:
            return Estimate.inapplicable(
                f"{plain:.0%} of low-entropy scenes are named right: little to repair", **sizes
            )
        reason = "no head selects an ID, or no prototype can be had: nothing to put in"
        return self._explain_no_heads(int(self.data.heads), reason, sizes)
