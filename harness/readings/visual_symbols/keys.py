"""Whether exchanging the keys of two objects exchanges their colors (section 4.3)."""

from __future__ import annotations

from harness.readings.exchange import compare_with_controls
from harness.readings.reading import Reading, estimate_gain, estimate_share, read_value
from harness.statistics.estimate import Estimate


class Keys(Reading):
    """Turns answers under edits of keys into shares; edits are named as in the measurement."""

    def swapped(self, edit: str = "both objects") -> Estimate:
        """Share of answers that are the other object's color."""
        return self._explain_missing() or estimate_share(
            self.data.swapped.sel(edit=edit), self.data.scene
        )

    def specific(self) -> Estimate:
        """How much more often answers become the other object's than under the stronger of two controls.

        The controls edit the background, or add random directions.
        """
        if missing := self._explain_missing():
            return missing
        swapped = self.data.swapped.astype(float)
        moved, scenes = swapped.sel(edit="both objects"), self.data.scene
        background = [swapped.sel(edit="background").values]
        # One direction draws all answers to one side; here each scene has one of its own.
        random = estimate_gain(moved, swapped.sel(edit="random direction"), scenes)
        still = compare_with_controls(
            moved.values, background, self.data.side.values, scenes.values
        )
        return min(random, still, key=read_value)

    def lost(self, edit: str) -> Estimate:
        """How much less often answers become the other object's than under the paper's edit."""
        return self._explain_missing() or estimate_gain(
            self.data.swapped.sel(edit="both objects"),
            self.data.swapped.sel(edit=edit),
            self.data.scene,
        )

    def _explain_missing(self) -> Estimate | None:
        if "no_grid" in self.data.attrs:
            return Estimate.inapplicable("its image tokens are no grid: objects have no patches")
        layers = int(self.data.layers.sum())
        return self._explain_no_heads(
            layers, "no head retrieves features, so there is no layer to edit"
        )
