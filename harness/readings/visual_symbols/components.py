"""How well the plane of two principal components separates positions and objects (Figure 1b)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.measures.components import NEIGHBOURS
from harness.readings.reading import Reading, count
from harness.statistics.estimate import Estimate, difference, proportion


class Components(Reading):
    """Reading of the planes. Factors are "position" (six cells) and "identity" (nine objects)."""

    def separating_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor best, on the estimation half."""
        return int(self._shares().sel(factor=factor).values.argmax())

    def best_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor most above the other, on the estimation half."""
        own, other = (self._shares().sel(factor=f).values for f in self._order(factor))
        return int((own - other).argmax())

    def accuracy(self, factor: str) -> Estimate:
        """Share of trials whose neighbours agree at the separating layer, on the evaluation half."""
        few = self._too_few()
        if few:
            return few
        chosen = self._half("evaluation")
        agrees = chosen.agrees.sel(factor=factor, layer=self.separating_layer(factor))
        return proportion(agrees.values.astype(bool), chosen.scene.values)

    def lead(self, factor: str) -> Estimate:
        """Accuracy for a factor minus accuracy for the other at its best layer, evaluation half."""
        few = self._too_few()
        if few:
            return few
        chosen = self._half("evaluation").sel(layer=self.best_layer(factor))
        own, other = (chosen.agrees.sel(factor=f).values.astype(float) for f in self._order(factor))
        return difference(own, other, chosen.scene.values)

    def _too_few(self) -> Estimate | None:
        """Where a label has no more trials than a trial has neighbours, they cannot all share it."""
        for half in ("estimation", "evaluation"):
            chosen = self._half(half)
            for name in ("cell", "identity"):
                least = int(np.unique(chosen[name].values, return_counts=True)[1].min())
                if least <= NEIGHBOURS:
                    return Estimate.unsettled(
                        f"only {least} trials of some {name} in one half, where {NEIGHBOURS} neighbours are "
                        "asked for its label: raise --trials",
                        **count(chosen.scene.values),
                    )
        return None

    def _shares(self) -> xr.DataArray:
        return self._half("estimation").agrees.astype(float).mean("trial")

    def _half(self, half: str) -> xr.Dataset:
        return self.data.isel(trial=np.flatnonzero(self.data.half.values == half))

    def _order(self, factor: str) -> tuple[str, str]:
        own, other = sorted(self.data.factor.values.tolist(), key=lambda name: name != factor)
        return own, other
