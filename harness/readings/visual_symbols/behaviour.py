"""Share of trials in which the subject names the object that the prompt leaves out."""

from __future__ import annotations

from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, proportion


class Behaviour(Reading):
    """Reading of the behavioural gate."""

    def accuracy(self, which: str) -> Estimate:
        """Share of right answers on one of SETS, or of TASKS; Wilson interval, clustered by scene."""
        chosen = self.data.sel(set=which)
        return proportion(chosen.right.values.astype(bool), chosen.scene.values)
