"""How well the plane of two principal components separates positions and objects (Figure 1b)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.measures.components import NEIGHBOURS
from harness.readings.reading import (
    Reading,
    count_trials,
    estimate_gain,
    estimate_share,
    select_half,
)
from harness.statistics.estimate import Estimate


class Components(Reading):
    """Turns neighbours in planes into shares of trials whose neighbours agree.

    Factors are "position" (six cells) and "identity" (nine objects).
    """

    def separating_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor best, on the estimation half."""
        return int(self._find_shares().sel(factor=factor).values.argmax())

    def best_layer(self, factor: str) -> int:
        """The layer whose plane separates a factor most above the other, on the estimation half."""
        own, other = (self._find_shares().sel(factor=f).values for f in self._order(factor))
        return int((own - other).argmax())

    def accuracy(self, factor: str) -> Estimate:
        """Share of trials whose neighbours agree at the separating layer, on the evaluation half."""
        chosen = self._select("evaluation")
        agrees = chosen.agrees.sel(factor=factor, layer=self.separating_layer(factor))
        return self._explain_missing() or estimate_share(agrees, chosen.scene)

    def lead(self, factor: str) -> Estimate:
        """Accuracy for a factor minus accuracy for the other at its best layer, evaluation half."""
        chosen = self._select("evaluation").sel(layer=self.best_layer(factor))
        own, other = (chosen.agrees.sel(factor=f) for f in self._order(factor))
        return self._explain_missing() or estimate_gain(own, other, chosen.scene)

    def _explain_missing(self) -> Estimate | None:
        # Where a label has no more trials than a trial has neighbours, they cannot all share it.
        for half in ("estimation", "evaluation"):
            chosen = self._select(half)
            for name in ("cell", "identity"):
                least = int(np.unique(chosen[name].values, return_counts=True)[1].min())
                if least <= NEIGHBOURS:
                    return Estimate.unsettled(
                        f"only {least} trials of some {name} in one half, where {NEIGHBOURS} neighbours are "
                        "asked for its label: raise --trials",
                        **count_trials(chosen.scene),
                    )
        return None

    def _find_shares(self) -> xr.DataArray:
        """Share of trials whose neighbours agree [factor, layer], on the estimation half."""
        return self._select("estimation").agrees.astype(float).mean("trial")

    def _select(self, half: str) -> xr.Dataset:
        return select_half(self.data, half, "half")

    def _order(self, factor: str) -> tuple[str, str]:
        """The factor itself, then the other one."""
        own, other = sorted(self.data.factor.values.tolist(), key=lambda name: name != factor)
        return own, other
