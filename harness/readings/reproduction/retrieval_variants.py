"""What mediation looks like when measured as the public reproduction did (protocol, section 9)."""

from __future__ import annotations

import numpy as np

from harness.readings.reading import Reading
from harness.readings.visual_symbols.mediation import WEAKEST, spell_stage
from harness.statistics.estimate import Estimate, mean, proportion


class RetrievalVariants(Reading):
    """Turns scores that were measured in other ways into what those ways would have missed."""

    def seen_at_patch(self) -> Estimate:
        """Share of trials in which the best ID retrieval head still counts when read at the patched token."""
        if not self._is_present("id_retrieval"):
            return Estimate.inapplicable("no head retrieves IDs, however the logits are read")
        counts = self.data.at_patch.values > WEAKEST["id_retrieval"]
        return proportion(counts, self.data.scene.sel(stage="id_retrieval").values)

    def zeros(self, stage: str) -> Estimate:
        """Share of heads that score exactly 0 in one contrast in bfloat16."""
        chosen = self.data.sel(stage=stage)
        return mean(chosen.zero.values, chosen.scene.values)

    def found(self, stage: str) -> Estimate:
        """Share of the true list that one contrast in bfloat16 finds."""
        if not self._is_present(stage):
            name = spell_stage(stage)
            return Estimate.inapplicable(f"no head mediates {name}: there is no list to find")
        chosen = self.data.sel(stage=stage)
        return mean(chosen.found.values, chosen.scene.values)

    def _is_present(self, stage: str) -> bool:
        """Whether the stage's best head surely counts, by the trials of the mediation experiment."""
        chosen = self.data.sel(stage=stage)
        scores = chosen.strength.values
        read = np.isfinite(scores)
        if not read.any():
            return False
        low, _ = self._find_bounds(mean(scores[read], chosen.strength_scene.values[read]))
        return low > WEAKEST[stage]
