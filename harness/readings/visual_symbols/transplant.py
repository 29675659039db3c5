"""Whether a transplanted ID points to the same slot of a group or the same place (Figure 13)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import (
    count_trials,
    estimate_gain,
    estimate_share,
    select_half,
)
from harness.readings.rivals import RivalReading
from harness.statistics.choice import choose_as_good
from harness.statistics.estimate import Estimate

CANDIDATES = ("relative", "absolute")

IDLE = 0.10
"""A transplant that surely turns a smaller share of answers into either candidate moves nothing.

The published shares of LLaVA-1.5 leave gains of 0.12 and 0.04 over the half that follow without a transplant.
"""


class Transplant(RivalReading):
    """Turns answers after transplants into shares of the two candidates, "relative" and "absolute"."""

    @property
    def heads(self) -> int | None:
        """The fewest heads that turn as many answers into either candidate as any; None if there are no heads.

        It is chosen on the estimation half, by answers that are not what is said without a transplant: either
        candidate can follow without one. The reproduction takes the number with most relative answers, but
        where IDs are absolute no number gives any, and one that only confuses the subject might be taken.
        """
        chosen = self.data.isel(k=slice(1, None))
        chosen = chosen.isel(asked=np.flatnonzero(chosen.asked_part.values == "estimation"))
        if not chosen.sizes["k"]:
            return None
        said = chosen.said.transpose("k", "asked").values
        relative, absolute, before = (
            chosen.predicted.sel(explanation=e).values for e in (*CANDIDATES, "nothing")
        )
        turned = ((said == relative) | (said == absolute)) & (said != before) & (said != "")
        return int(chosen.k.values[choose_as_good(turned, chosen.asked_scene.values)])

    def accuracy(self) -> Estimate:
        """Share of sources that are answered right."""
        return estimate_share(self.data.right, self.data.scene)

    def share(self, candidate: str) -> Estimate:
        """Share of answers that are a candidate's color, on the evaluation half."""
        if missing := self._explain_missing():
            return missing
        chosen = select_half(self.data, "evaluation").sel(candidate=candidate)
        return estimate_share(chosen.names.sel(k=self.heads), chosen.scene)

    def share_if_moved(self, candidate: str) -> Estimate:
        """The same share, where the transplant makes either candidate more frequent; else not applicable.

        Either can follow without a transplant, so that its share says something only where it moves. The
        relative one is absent where the transplant surely moves hardly any answer.
        """
        missing = self._explain_missing() or self._explain_idle(candidate == "relative")
        return missing or self.share(candidate)

    def gain(self, candidate: str = "relative") -> Estimate:
        """How much more often a candidate is named than without a transplant."""
        if missing := self._explain_missing():
            return missing
        chosen = select_half(self.data, "evaluation").sel(candidate=candidate)
        return estimate_gain(chosen.names.sel(k=self.heads), chosen.names.sel(k=0), chosen.scene)

    def _explain_idle(self, claimed: bool) -> Estimate | None:
        """The estimate where the transplant makes neither candidate more frequent; None if it does one."""
        bounds = [self._find_bounds(self.gain(candidate)) for candidate in CANDIDATES]
        if any(low > 0 for low, _ in bounds):
            return None
        surely = claimed and max(high for _, high in bounds) < IDLE
        return (Estimate.absent if surely else Estimate.inapplicable)(
            "the transplant makes neither candidate more frequent than it is without: it points nowhere",
            **count_trials(select_half(self.data, "evaluation").scene),
        )

    def _select_edit(self, which: str) -> dict[str, str | int]:
        return {"k": self.heads or 0}

    def _explain_missing(self, which: str = "") -> Estimate | None:
        reason = "no head selects an ID, so there is none to transplant"
        sizes = count_trials(select_half(self.data, "evaluation").scene)
        return self._explain_no_heads(self.heads or 0, reason, sizes)
