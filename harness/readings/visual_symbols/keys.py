"""Whether exchanging the keys of two objects exchanges their colors (section 4.3)."""

from __future__ import annotations

from harness.readings.exchange import compare_with_controls
from harness.readings.reading import estimate_gain, estimate_share
from harness.readings.rivals import RivalReading
from harness.statistics.estimate import Estimate

PAPER = "both objects"
"""The paper's edit."""


class Keys(RivalReading):
    """Turns answers under edits of keys into shares; edits are named as in the measurement."""

    def own(self, edit: str = "none") -> Estimate:
        """Share of answers that are the queried object's own color, by default without an edit."""
        return self._explain_missing() or estimate_share(
            self.data.own.sel(edit=edit), self.data.scene
        )

    def swapped(self, edit: str = PAPER) -> Estimate:
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
        swapped = self.data.swapped
        return compare_with_controls(
            swapped.sel(edit=PAPER).values,
            drawn=swapped.sel(edit="random direction").values,
            fixed=swapped.sel(edit="background").values,
            sides=self.data.side.values,
            scenes=self.data.scene.values,
        )

    def lost(self, edit: str) -> Estimate:
        """How much less often answers become the other object's than under the paper's edit."""
        return self._explain_missing() or estimate_gain(
            self.data.swapped.sel(edit=PAPER),
            self.data.swapped.sel(edit=edit),
            self.data.scene,
        )

    def _select_edit(self, which: str) -> dict[str, str | int]:
        return {"edit": PAPER}

    def _explain_missing(self, which: str = "") -> Estimate | None:
        if "no_grid" in self.data.attrs:
            return Estimate.inapplicable("its image tokens are no grid: objects have no patches")
        layers = int(self.data.layers.sum())
        reason = "no head retrieves features, so there is no layer to edit"
        return self._explain_no_heads(layers, reason, stage="feature_retrieval")
