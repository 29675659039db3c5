"""Whether position IDs from scene description help with questions about space (section 4.4)."""

from __future__ import annotations

from harness.readings.reading import count_trials, estimate_gain, estimate_share
from harness.readings.rivals import RivalReading
from harness.statistics.estimate import Estimate
from harness.statistics.least import take_least
from harness.statistics.shares import subtract_shares
from harness.stimuli.prompt import RELATIONS

CEILING = 0.95
"""Above this accuracy without the ID there is nothing to improve (protocol, E8)."""


class Reuse(RivalReading):
    """Turns answers to questions about space, with and without position IDs, into differences of accuracy."""

    def gain(self) -> Estimate:
        """How much more often the answer is right with the ID of the true position."""
        missing = self._explain_missing() or self._explain_ceiling()
        return missing or estimate_gain(self.data.after, self.data.before, self.data.scene)

    def worst(self) -> Estimate:
        """How much accuracy rises with the right position ID, for the spatial relation where it rises least.

        The interval knows that the relation was chosen on these trials. Where an ID moves no answer, no
        relation can suffer: that is not applicable.
        """
        if missing := self._explain_missing() or self._explain_ceiling() or self._explain_idle():
            return missing
        after, before, scenes = (self.data[name].values for name in ("after", "before", "scene"))
        members = [self.data.relation.values == r for r in RELATIONS]
        return take_least(
            [subtract_shares(after[m], before[m], scenes[m]) for m in members if m.any()]
        )

    def pulled(self) -> Estimate:
        """Share of answers that are the object at a wrong position whose ID is put in."""
        return self._explain_missing() or estimate_share(self.data.pulled, self.data.scene)

    def _explain_idle(self) -> Estimate | None:
        """The estimate where IDs neither change accuracy nor pull answers; None if they surely do either."""
        low, high = self._find_bounds(
            estimate_gain(self.data.after, self.data.before, self.data.scene)
        )
        pull = estimate_gain(self.data.pulled, self.data.unpulled, self.data.scene)
        if low > 0 or high < 0 or self._find_bounds(pull)[0] > 0:
            return None
        return Estimate.inapplicable(
            "the IDs move no more answers than chance does, so that no relation suffers says nothing",
            **count_trials(self.data.scene),
        )

    def _select_edit(self, which: str) -> dict[str, str | int]:
        return {"edit": "wrong position"}

    def _explain_ceiling(self) -> Estimate | None:
        before = float(self.data.before.values.mean())
        if before <= CEILING:
            return None
        return Estimate.inapplicable(
            f"{before:.0%} of the questions are answered right without the ID: nothing to improve",
            **count_trials(self.data.scene),
        )

    def _explain_missing(self, which: str = "") -> Estimate | None:
        reason = "no head selects an ID, so there is none to reuse"
        return self._explain_no_heads(int(self.data.heads), reason)
