"""Whether a transplanted ID points to the same slot of a group or the same place (Figure 13)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, difference, proportion


class Transplanted(Reading):
    """Reading of the transplants."""

    @property
    def heads(self) -> int | None:
        """How many heads: most answers of either candidate on the estimation half; None without any.

        The reproduction takes most relative ones. Where IDs are absolute no number gives any, and one of which
        nothing but confusion comes would show that answers are not absolute.
        """
        chosen = self._half("estimation").isel(k=slice(1, None))
        if not chosen.sizes["k"]:
            return None
        either = chosen.names.any("candidate").transpose("k", "trial").values.mean(1)
        return int(chosen.k.values[either.argmax()])

    def accuracy(self) -> Estimate:
        """Share of sources that are answered right."""
        return proportion(self.data.right.values.astype(bool), self.data.scene.values)

    def share(self, candidate: str) -> Estimate:
        """Share of answers that are a candidate's color, on the evaluation half."""
        chosen = self._half("evaluation")
        missing = self._missing()
        if missing:
            return missing
        found = chosen.names.sel(candidate=candidate, k=self.heads).values
        return proportion(found.astype(bool), chosen.scene.values)

    def gain(self) -> Estimate:
        """How much more often the relative candidate is named than without a transplant."""
        chosen = self._half("evaluation").sel(candidate="relative")
        missing = self._missing()
        if missing:
            return missing
        return difference(
            chosen.names.sel(k=self.heads).values,
            chosen.names.sel(k=0).values,
            chosen.scene.values,
        )

    def _half(self, half: str) -> xr.Dataset:
        return self.data.isel(trial=np.flatnonzero(self.data.part.values == half))

    def _missing(self) -> Estimate | None:
        scenes = self._half("evaluation").scene.values
        reason = "no head selects an ID, so there is none to transplant"
        return self._no_heads(self.heads or 0, reason, scenes)
