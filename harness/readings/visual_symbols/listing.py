"""Whether the ID of the first object makes a list repeat it (appendix B)."""

from __future__ import annotations

from harness.readings.reading import Reading, Sizes, estimate_gain, estimate_share
from harness.statistics.estimate import Estimate


class Listing(Reading):
    """Turns lists with and without the ID of the first object into shares of repetitions."""

    def repeats(self) -> Estimate:
        """Share of lists in which the first object comes again."""
        return self._explain_missing() or estimate_share(self.data.repeated, self.data.scene)

    def specific(self) -> Estimate:
        """How much more often the first object comes again than with random heads replaced."""
        return self._explain_missing() or estimate_gain(
            self.data.repeated, self.data.random.values.astype(float).mean(0), self.data.scene
        )

    def _explain_missing(self) -> Estimate | None:
        heads, listed, shown = (int(self.data[v]) for v in ("heads", "listed", "shown"))
        sizes: Sizes = {"n": listed, "clusters": listed}
        if heads < 0:
            return Estimate.unsettled(
                f"only {listed} of {shown} images are answered with a list of two objects", **sizes
            )
        reason = "no head selects an ID, so there is none to put in"
        return self._explain_no_heads(heads, reason, sizes)
