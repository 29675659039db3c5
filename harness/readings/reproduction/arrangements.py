"""How much accuracy differs between arrangements of image and prompt (protocol, section 9)."""

from __future__ import annotations

from harness.readings.reading import Reading, estimate_gain, select_half
from harness.statistics.estimate import Estimate


class Arrangements(Reading):
    """Turns answers in every arrangement into the difference that the arrangement makes."""

    def difference(self) -> Estimate:
        """How much more accurate the best arrangement is than the worst, both chosen on the other half."""
        if "no_chat" in self.data.attrs:
            return Estimate.inapplicable(str(self.data.attrs["no_chat"]))
        chosen, judged = (select_half(self.data, h) for h in ("estimation", "evaluation"))
        shares = chosen.right.astype(float).mean("trial").values
        best, worst = (judged.right[int(how)] for how in (shares.argmax(), shares.argmin()))
        return estimate_gain(best, worst, judged.scene)
