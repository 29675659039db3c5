"""Share of trials in which the subject names the object that the prompt leaves out."""

from __future__ import annotations

from harness.readings.reading import Reading, count_trials, estimate_share
from harness.statistics.estimate import Estimate

READABLE = 0.1
"""Share of answers that must name a color in some spelling; of others it is unknown whether they are right."""


class Behaviour(Reading):
    """Turns right and wrong answers into accuracy."""

    def accuracy(self, which: str) -> Estimate:
        """Share of right answers in one set of trials, such as "two objects".

        The names are in `harness/experiments/tasks.py`. Wilson interval, clustered by scene. Not applicable to
        a subject whose answers name no color in any spelling: it may be right in a language unknown here.
        """
        chosen = self.data.sel(set=which)
        named = chosen.named.values.astype(bool)
        if named.mean() < READABLE:
            told = self.data.attrs.get("tells")
            return Estimate.inapplicable(
                f"{named.sum()} of {len(named)} answers name a color in any spelling, so they cannot be told "
                "right or wrong" + (f": it {told}" if told else ""),
                **count_trials(chosen.scene),
            )
        return estimate_share(chosen.right, chosen.scene)
