"""Share of trials in which the subject names the object that the prompt leaves out."""

from __future__ import annotations

from harness.readings.reading import Reading, estimate_share
from harness.statistics.estimate import Estimate


class Behaviour(Reading):
    """Turns right and wrong answers into accuracy."""

    def accuracy(self, which: str) -> Estimate:
        """Share of right answers in one set of trials, such as "two objects".

        The names are in `harness/experiments/tasks.py`. Wilson interval, clustered by scene.
        """
        chosen = self.data.sel(set=which)
        return estimate_share(chosen.right, chosen.scene)
