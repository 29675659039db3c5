"""Whether exchanging the keys of two objects exchanges their colors (section 4.3)."""

from __future__ import annotations

from harness.readings.exchange import beyond_controls
from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, difference, proportion


class Keys(Reading):
    """Reading of the edits of keys; names are those of EDITS."""

    def swapped(self, edit: str = "both objects") -> Estimate:
        """Share of answers that are the other object's color."""
        missing = self._missing()
        if missing:
            return missing
        return proportion(
            self.data.swapped.sel(edit=edit).values.astype(bool), self.data.scene.values
        )

    def specific(self) -> Estimate:
        """How much more often than under the stronger control: background, or random directions."""
        missing = self._missing()
        if missing:
            return missing
        swapped = self.data.swapped.astype(float)
        moved, scenes = swapped.sel(edit="both objects").values, self.data.scene.values
        background = [swapped.sel(edit="background").values]
        # One direction draws all answers to one side; here each scene has one of its own.
        random = difference(moved, swapped.sel(edit="random direction").values, scenes)
        still = beyond_controls(moved, background, self.data.side.values, scenes)
        return min(random, still, key=lambda estimate: estimate.value)

    def lost(self, edit: str) -> Estimate:
        """How much less often than under the paper's edit."""
        missing = self._missing()
        if missing:
            return missing
        swapped = self.data.swapped.astype(float)
        return difference(
            swapped.sel(edit="both objects").values,
            swapped.sel(edit=edit).values,
            self.data.scene.values,
        )

    def _missing(self) -> Estimate | None:
        if "no_grid" in self.data.attrs:
            return Estimate.inapplicable("its image tokens are no grid: objects have no patches")
        layers = int(self.data.layers.sum())
        return self._no_heads(layers, "no head retrieves features, so there is no layer to edit")
