"""How silencing heads changes counting (appendix C)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.measures.mediation import spell_stage
from harness.readings.reading import Reading, count_trials, estimate_gain, estimate_share
from harness.statistics.estimate import Estimate


class Counting(Reading):
    """Turns counts with silenced heads into accuracy and its differences, at the judged K.

    Orders of heads are "top", "bottom" and "smallest".
    """

    def task_accuracy(self) -> Estimate:
        """Share of right counts without ablation."""
        return estimate_share(self.data.plain, self.data.scene)

    def accuracy(self) -> Estimate:
        """Share of right counts while the heads of highest score are silenced."""
        return self._explain_missing() or estimate_share(self._select("top"), self.data.scene)

    def spared(self, which: str) -> Estimate:
        """Share of right counts without the heads of another order, where those of highest score are missed."""
        return self._explain_unmoved() or estimate_share(self._select(which), self.data.scene)

    def gap(self) -> Estimate:
        """How much more accurate counts are without the heads of lowest score than without those of highest."""
        return self._explain_missing() or estimate_gain(
            self._select("bottom"), self._select("top"), self.data.scene
        )

    def against_random(self) -> Estimate:
        """How much more accurate counts are without random heads than without those of highest score.

        The interval is clustered by the draw of random heads that a scene was asked with.
        """
        if missing := self._explain_missing():
            return missing
        few = self._explain_few_others(int(self.data.silenced), int(self.data.others))
        return few or estimate_gain(self.data.random, self._select("top"), self.data.draw)

    def dose(self) -> Estimate:
        """How much more accurate counts are without few of the heads of highest score than without many."""
        if missing := self._explain_missing():
            return missing
        few = self._select("top", int(self.data.k.min()))
        if not few.any():
            return Estimate.inapplicable(
                "the fewest heads already cost all counts, so more heads cannot cost more",
                **count_trials(self.data.scene),
            )
        return estimate_gain(few, self._select("top"), self.data.scene)

    def valid(self) -> Estimate:
        """Share of answers with a number at all without the heads of highest score, where these are missed."""
        return self._explain_unmoved() or estimate_share(
            self.data.valid.sel(which="top", k=int(self.data.judged)), self.data.scene
        )

    def _explain_missing(self) -> Estimate | None:
        """The estimate where no head can be silenced or no count be lost; None where they can."""
        sizes = count_trials(self.data.scene)
        if not int(self.data.heads):
            if unknown := str(self.data.attrs.get("unranked", "")):
                stages = ", ".join(map(spell_stage, unknown.split()))
                return Estimate.unsettled(
                    f"mediation surely finds no head that could be silenced, and of {stages} it rules none "
                    "out: raise --trials",
                    **sizes,
                )
            return Estimate.inapplicable(
                "mediation ranks no head, so there is none to silence", **sizes
            )
        always_one = float(np.unique(self.data["count"], return_counts=True)[1].max()) / sizes["n"]
        if self._find_bounds(self.task_accuracy())[0] <= always_one:
            return Estimate.inapplicable(
                "counts without ablation are not surely better than saying always the same number",
                **sizes,
            )
        return None

    def _explain_unmoved(self) -> Estimate | None:
        """Where silencing the best heads costs no count, the estimate that says so; else None.

        That silencing other heads costs no count says nothing then.
        """
        if missing := self._explain_missing():
            return missing
        lost = estimate_gain(self.data.plain, self._select("top"), self.data.scene)
        if self._find_bounds(lost)[0] > 0:
            return None
        return Estimate.inapplicable(
            "counts are not surely worse without the heads of highest score, so that nothing is spared",
            **count_trials(self.data.scene),
        )

    def _select(self, which: str, k: int | None = None) -> xr.DataArray:
        """Whether each count is right with those heads silenced, [trial]; at the judged K if none is given."""
        return self.data.right.sel(which=which, k=int(self.data.judged) if k is None else k)
