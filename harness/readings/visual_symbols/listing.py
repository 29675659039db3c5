"""Whether the ID of the first object makes a list repeat it (appendix B)."""

from __future__ import annotations

from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, difference, proportion


class Listing(Reading):
    """Reading of the lists."""

    def repeats(self) -> Estimate:
        """Share of lists in which the first object comes again."""
        missing = self._missing()
        return missing or proportion(self.data.repeated.values.astype(bool), self.data.scene.values)

    def specific(self) -> Estimate:
        """How much more often than with random heads replaced."""
        missing = self._missing()
        return missing or difference(
            self.data.repeated.values,
            self.data.random.values.astype(float).mean(0),
            self.data.scene.values,
        )

    def _missing(self) -> Estimate | None:
        heads = int(self.data.heads)
        if heads > 0:
            return None
        listed, shown = int(self.data.listed), int(self.data.shown)
        sizes = {"n": listed, "clusters": listed}
        if heads < 0:
            return Estimate.unsettled(
                f"only {listed} of {shown} images are answered with a list of two objects", **sizes
            )
        return Estimate.absent("no head selects an ID, so there is none to put in", **sizes)
