"""Whether the object that is left out is named without its image."""

from __future__ import annotations

from harness.readings.reading import Reading, count_trials, estimate_share
from harness.statistics.estimate import Estimate

ANSWERED = 1 / 3
"""Scenes that must be named right with their image for a loss to mean anything: three times chance."""


class Blank(Reading):
    """Turns answers with and without the image into shares."""

    def without_image(self) -> Estimate:
        """Share of right answers about a blank image; not applicable where little is named with images."""
        seen = self.accuracy("own")
        low, high = self._find_bounds(seen)
        if low <= ANSWERED:
            missing = Estimate.inapplicable if high < ANSWERED else Estimate.unsettled
            return missing(
                f"{seen.value:.0%} of scenes are named right with their image: too few to lose",
                **count_trials(self.data.scene),
            )
        return self.accuracy("blank")

    def accuracy(self, image: str) -> Estimate:
        """Share of right answers with the "own" image or a "blank" one."""
        return estimate_share(self.data.right.sel(image=image), self.data.scene)
