"""Whether pushing a position ID makes the model name the other object (section 4.2)."""

from __future__ import annotations

import numpy as np

from harness.readings.exchange import compare_with_controls
from harness.readings.reading import count_trials, estimate_gain, estimate_share
from harness.readings.rivals import RivalReading
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate


class Steering(RivalReading):
    """Turns answers under pushed position IDs into shares; stages are named as in mediation."""

    def task_accuracy(self) -> Estimate:
        """Share of the evaluation images answered right without an edit."""
        return estimate_share(self.data.right, self.data.scene)

    def unedited(self) -> Estimate:
        """Share of answers that are the described object's without an edit, of those that name either object.

        A subject that names neither has no answer that an edit could move, and could not fail.
        """
        before, scenes = self.data.before, self.data.scene
        named = (self.data.right | before).values
        asked = len(np.unique(scenes.values))
        shown = len(np.unique(scenes.values[named]))
        if shown < MINIMUM_CLUSTERS and shown < asked:
            return Estimate.unsettled(
                f"without an edit answers name one of the two objects in {shown} of {asked} scenes only",
                **count_trials(scenes),
            )
        return estimate_share(before[named], scenes[named])

    def swapped(self, stage: str) -> Estimate:
        """Share of answers that are the described object's, at the setting chosen on the other half."""
        moved = self.data.moved.sel(stage=stage, control="top")
        return self._explain_missing(stage) or estimate_share(moved, self.data.scene)

    def specific(self, stage: str) -> Estimate:
        """How much more often answers become the described object's than under the stronger of two controls.

        The controls push other heads of the same layers, which matter for no stage and are drawn anew for each
        scene, or the same heads the other way. Not applicable where too few others are left.
        """
        moved = self.data.moved.sel(stage=stage)
        wanted, others = (int(self.data[n].sel(stage=stage)) for n in ("chosen_k", "others"))
        missing = self._explain_missing(stage) or self._explain_few_others(wanted, others)
        return missing or compare_with_controls(
            moved.sel(control="top").values,
            drawn=moved.sel(control="random").values,
            fixed=moved.sel(control="away").values,
            sides=self.data.side.values,
            scenes=self.data.scene.values,
        )

    def optimism(self, stage: str) -> Estimate:
        """How much higher the share is at the setting that is best on the very images it is judged on."""
        moved = self.data.moved.sel(stage=stage)
        here, elsewhere = (moved.sel(control=c) for c in ("best on test", "best"))
        return self._explain_missing(stage) or estimate_gain(here, elsewhere, self.data.scene)

    def _select_edit(self, which: str) -> dict[str, str | int]:
        return {"stage": which}

    def _explain_missing(self, which: str = "") -> Estimate | None:
        reason = "no head has a positive mediation score for this stage, so there is none to steer"
        return self._explain_no_heads(int(self.data.heads.sel(stage=which)), reason, stage=which)
