"""How silencing heads changes counting (appendix C)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, difference, proportion


class Counting(Reading):
    """Reading of the ablations at the judged K; orders are those of ORDERS."""

    def accuracy(self, which: str) -> Estimate:
        """Share of right counts with those heads silenced."""
        return proportion(self._right(which).astype(bool), self.data.scene.values)

    def gap(self) -> Estimate:
        """Accuracy without the lowest heads less that without the highest."""
        return difference(self._right("bottom"), self._right("top"), self.data.scene.values)

    def against_random(self) -> Estimate:
        """Mean accuracy without random heads less that without the highest."""
        random = self.data.random.values.astype(float).mean(0)
        return difference(random, self._right("top"), self.data.scene.values)

    def valid(self) -> Estimate:
        """Share of answers that give a number at all, the highest heads silenced."""
        valid = self.data.valid.sel(which="top", k=int(self.data.judged)).values
        return proportion(valid.astype(bool), self.data.scene.values)

    def _right(self, which: str) -> np.ndarray:
        return self.data.right.sel(which=which, k=int(self.data.judged)).values
