"""How many answers name a color, and how many the right one, where the spelling was found out."""

from __future__ import annotations

from harness.readings.reading import Reading, estimate_share
from harness.statistics.estimate import Estimate


class Spelling(Reading):
    """Turns what a subject said to find out its spelling into shares; forms are "sentence" and "question"."""

    def named(self, form: str) -> Estimate:
        """Share of answers that name a color in some spelling."""
        return estimate_share(self.data.said.sel(form=form) != "", self.data.scene)

    def accuracy(self, form: str) -> Estimate:
        """Share of answers that name the right color in some spelling."""
        return estimate_share(self.data.right.sel(form=form), self.data.scene)
