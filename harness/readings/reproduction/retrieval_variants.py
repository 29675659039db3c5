"""What mediation looks like when measured as the public reproduction did (protocol, section 9)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import Reading
from harness.readings.visual_symbols.mediation import WEAKEST
from harness.statistics.estimate import Estimate, mean, proportion


class RetrievalVariants(Reading):
    """Reading of the ways to measure."""

    def seen_at_patch(self) -> Estimate:
        """Share of trials in which the best ID retrieval head still counts when read at the patched token."""
        if not self._present("id_retrieval"):
            return Estimate.inapplicable("no head retrieves IDs, however the logits are read")
        counts = self.data.at_patch.values > WEAKEST["id_retrieval"]
        return proportion(counts, self.data.scene.sel(stage="id_retrieval").values)

    def zeros(self, stage: str) -> Estimate:
        """Share of heads that score exactly 0 in one contrast in bfloat16."""
        return mean(self.data.zero.sel(stage=stage).values, self.data.scene.sel(stage=stage).values)

    def found(self, stage: str) -> Estimate:
        """Share of the true list that one contrast in bfloat16 finds."""
        if not self._present(stage):
            name = stage.replace("_", " ").replace("id ", "ID ")
            return Estimate.inapplicable(f"no head mediates {name}: there is no list to find")
        return mean(
            self.data.found.sel(stage=stage).values, self.data.scene.sel(stage=stage).values
        )

    def _present(self, stage: str) -> bool:
        """Whether the stage's best head surely counts, by all trials of the mediation experiment."""
        chosen = self.data.sel(stage=stage)
        scores = chosen.strength.values
        read = np.isfinite(scores)
        if not read.any():
            return False
        low, _ = self._bounds(mean(scores[read], chosen.strength_scene.values[read]))
        return low > WEAKEST[stage]
