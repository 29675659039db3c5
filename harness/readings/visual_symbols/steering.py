"""Whether pushing a position ID makes the model name the other object (section 4.2)."""

from __future__ import annotations

from harness.readings.exchange import beyond_controls
from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate, difference, proportion


class Steered(Reading):
    """Reading of the steering; stages are named as in mediation."""

    def task_accuracy(self) -> Estimate:
        """Share of the evaluation images answered right without an edit."""
        return proportion(self.data.right.values.astype(bool), self.data.scene.values)

    def swapped(self, stage: str) -> Estimate:
        """Share of answers that are the described object's, at the setting chosen on the other half."""
        missing = self._missing(stage)
        if missing:
            return missing
        moved = self.data.moved.sel(stage=stage, control="top").values
        return proportion(moved.astype(bool), self.data.scene.values)

    def specific(self, stage: str) -> Estimate:
        """How much more often than with the stronger of the two controls: other heads, or pushed away."""
        missing = self._missing(stage)
        if missing:
            return missing
        moved = self.data.moved.sel(stage=stage)
        return beyond_controls(
            moved.sel(control="top").values,
            [moved.sel(control=c).values for c in ("random", "away")],
            self.data.side.values,
            self.data.scene.values,
        )

    def optimism(self, stage: str) -> Estimate:
        """How much higher the share is at the setting that is best on the very images it is judged on."""
        missing = self._missing(stage)
        if missing:
            return missing
        moved = self.data.moved.sel(stage=stage)
        best, top = (moved.sel(control=c).values for c in ("best on test", "top"))
        return difference(best, top, self.data.scene.values)

    def _missing(self, stage: str) -> Estimate | None:
        return self._no_heads(
            int(self.data.heads.sel(stage=stage)),
            "no head has a positive mediation score for this stage, so there is none to steer",
        )
