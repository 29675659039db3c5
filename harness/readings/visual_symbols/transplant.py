"""Whether a transplanted ID points to the same slot of a group or the same place (Figure 13)."""

from __future__ import annotations

from harness.readings.reading import (
    Reading,
    count_trials,
    estimate_gain,
    estimate_share,
    select_half,
)
from harness.statistics.estimate import Estimate


class Transplant(Reading):
    """Turns answers after transplants into shares of the two candidates, "relative" and "absolute"."""

    @property
    def heads(self) -> int | None:
        """The number of heads that makes most answers one of the two candidates; None if there are no heads.

        It is chosen on the estimation half. The reproduction takes the number with most relative answers, but
        where IDs are absolute no number gives any, and one that only confuses the subject might be taken.
        """
        chosen = select_half(self.data, "estimation").isel(k=slice(1, None))
        if not chosen.sizes["k"]:
            return None
        either = chosen.names.any("candidate").transpose("k", "trial").values.mean(1)
        return int(chosen.k.values[either.argmax()])

    def accuracy(self) -> Estimate:
        """Share of sources that are answered right."""
        return estimate_share(self.data.right, self.data.scene)

    def share(self, candidate: str) -> Estimate:
        """Share of answers that are a candidate's color, on the evaluation half."""
        if missing := self._explain_missing():
            return missing
        chosen = select_half(self.data, "evaluation").sel(candidate=candidate)
        return estimate_share(chosen.names.sel(k=self.heads), chosen.scene)

    def gain(self) -> Estimate:
        """How much more often the relative candidate is named than without a transplant."""
        if missing := self._explain_missing():
            return missing
        chosen = select_half(self.data, "evaluation").sel(candidate="relative")
        return estimate_gain(chosen.names.sel(k=self.heads), chosen.names.sel(k=0), chosen.scene)

    def _explain_missing(self) -> Estimate | None:
        reason = "no head selects an ID, so there is none to transplant"
        sizes = count_trials(select_half(self.data, "evaluation").scene)
        return self._explain_no_heads(self.heads or 0, reason, sizes)
