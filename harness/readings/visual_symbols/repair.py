"""Whether clean position IDs repair answers where objects share features (appendix D)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, difference, mean

TESTABLE = 0.85
"""Above this accuracy with low entropy there is little to repair (protocol, E12)."""


class Repaired(Reading):
    """Reading of the repair, on the evaluation half."""

    def gain(self) -> Estimate:
        """How much more often the object is named right with the prototype of its position."""
        return self._against("repaired", 1)

    def harm(self) -> Estimate:
        """How much less often with the prototype of a wrong position."""
        return self._against("misled", -1)

    def _against(self, which: str, sign: int) -> Estimate:
        chosen = self.data.isel(trial=np.flatnonzero(self.data.part.values == "evaluation"))
        scenes = chosen.scene.values
        plain = mean(chosen.plain.values.astype(float), scenes)
        sizes = {"n": plain.n, "clusters": plain.clusters}
        if plain.value > TESTABLE:
            return Estimate.inapplicable(
                f"{plain.value:.0%} of low-entropy scenes are named right: little to repair",
                **sizes,
            )
        if not int(self.data.heads):
            return Estimate.absent(
                "no head selects an ID, or no prototype can be had: nothing to put in", **sizes
            )
        pair = (chosen[which].values, chosen.plain.values)
        return difference(*(pair if sign > 0 else pair[::-1]), scenes)
