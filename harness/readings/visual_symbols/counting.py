"""How silencing heads changes counting (appendix C)."""

from __future__ import annotations

import xarray as xr

from harness.readings.reading import Reading, estimate_gain, estimate_share
from harness.statistics.estimate import Estimate


class Counting(Reading):
    """Turns counts with silenced heads, at the judged K, into accuracy and its differences.

    Orders of heads are "top", "bottom" and "smallest".
    """

    def accuracy(self, which: str) -> Estimate:
        """Share of right counts while the heads of one order are silenced."""
        return estimate_share(self._select(which), self.data.scene)

    def gap(self) -> Estimate:
        """How much more accurate counts are without the heads of lowest score than without those of highest."""
        return estimate_gain(self._select("bottom"), self._select("top"), self.data.scene)

    def against_random(self) -> Estimate:
        """How much more accurate counts are without random heads than without those of highest score."""
        random = self.data.random.values.astype(float).mean(0)
        return estimate_gain(random, self._select("top"), self.data.scene)

    def valid(self) -> Estimate:
        """Share of answers that give a number at all while the heads of highest score are silenced."""
        valid = self.data.valid.sel(which="top", k=int(self.data.judged))
        return estimate_share(valid, self.data.scene)

    def _select(self, which: str) -> xr.DataArray:
        """Whether each count is right with those heads silenced, [trial]."""
        return self.data.right.sel(which=which, k=int(self.data.judged))
