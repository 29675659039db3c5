"""Whether the ID of the first object makes a list repeat it (appendix B)."""

from __future__ import annotations

from harness.readings.reading import Reading, Sizes, estimate_gain, estimate_share
from harness.statistics.estimate import Estimate


class Listing(Reading):
    """Turns lists with and without the ID of the first object into shares of repetitions."""

    def task_accuracy(self) -> Estimate:
        """Share of images of which the subject names a first object, one that is there where that is known."""
        return estimate_share(self.data.named, self.data.image)

    def repeats(self) -> Estimate:
        """Share of lists in which the noun of the first object comes again."""
        return self._explain_missing() or estimate_share(self.data.repeated, self.data.scene)

    def exact(self) -> Estimate:
        """Share of lists in which the first object comes again word for word."""
        return self._explain_missing() or estimate_share(self.data.exact, self.data.scene)

    def specific(self) -> Estimate:
        """How much more often the first object comes again than with random heads of the same layers replaced.

        The interval is clustered by the draw of random heads that a list was asked with.
        """
        if missing := self._explain_missing():
            return missing
        few = self._explain_few_others(int(self.data.replaced), int(self.data.others))
        return few or estimate_gain(self.data.repeated, self.data.random, self.data.draw)

    def _explain_missing(self) -> Estimate | None:
        """The estimate where no ID could be put in; None where one was."""
        listed, shown = int(self.data.listed), self.data.sizes["image"]
        sizes: Sizes = {"n": listed, "clusters": listed}
        if not int(self.data.kept):
            return Estimate.inapplicable(
                "mediation kept no contrast, so no head is known that selects an ID", **sizes
            )
        reason = "no head selects an ID, so there is none to put in"
        absent = self._explain_no_heads(int(self.data.heads), reason, sizes)
        if absent is None and "repeated" not in self.data:
            return Estimate.unsettled(
                f"only {listed} of {shown} images are answered with a list of two objects", **sizes
            )
        return absent
