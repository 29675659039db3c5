"""What mediation looks like when measured as the public reproduction did (protocol, section 9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.measures.mediation import ROUNDING, SMALLEST, spell_stage
from harness.readings.reading import Reading, count_trials
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, mean
from harness.statistics.flips import mean_by_flips
from harness.statistics.halves import DRAWS
from harness.statistics.shares import mean_share


class RetrievalVariants(Reading):
    """Turns scores that were measured in other ways into what those ways would have missed."""

    def seen_at_patch(self) -> Estimate:
        """Score of the best ID retrieval head at the patched token, as a share of that at the last token."""
        if missing := self._explain_missing("id_retrieval"):
            return missing
        there, scenes = self._select("id_retrieval")
        at_patch, at_last = self.data.at_patch.values[there], self.data.at_last.values[there]
        if not self._find_bounds(mean(at_last, scenes))[0] > ROUNDING:
            return Estimate.unsettled(
                "the head does not surely retrieve IDs on these trials", **count_trials(scenes)
            )
        weights = draw_cluster_weights(scenes, DRAWS, np.random.default_rng(0))
        draws = (weights @ at_patch) / (weights @ at_last)
        return from_draws(float(at_patch.mean() / at_last.mean()), draws, **count_trials(scenes))

    def zeros(self, stage: str) -> Estimate:
        """Share of heads that score exactly 0 in one contrast in bfloat16, for a stage that has heads."""
        return self._average(stage, "zero")

    def found(self, stage: str) -> Estimate:
        """Share of the true list that one contrast in bfloat16 finds."""
        return self._average(stage, "found")

    def _average(self, stage: str, variable: str) -> Estimate:
        if missing := self._explain_missing(stage):
            return missing
        there, scenes = self._select(stage)
        return mean_share(self.data[variable].sel(stage=stage).values[there], scenes)

    def _select(self, stage: str) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
        """Which trials were measured, bool [trial], and the scenes of these [n]."""
        scenes = self.data.scene.sel(stage=stage).values
        return scenes != "", scenes[scenes != ""]

    def _explain_missing(self, stage: str) -> Estimate | None:
        """Nothing can be missed where the mediation experiment has no head, nor told without other scenes."""
        chosen = self.data.sel(stage=stage)
        name = spell_stage(stage)
        scores = chosen.strength.values
        read = np.isfinite(scores)
        if not read.any():
            return Estimate.inapplicable(f"no head is ranked for {name}: there is no list to find")
        presence = mean_by_flips(scores[read], chosen.strength_scene.values[read])
        if presence.clusters < MINIMUM_CLUSTERS:
            return Estimate.unsettled(
                f"{presence.clusters} scenes do not tell whether a head mediates {name}",
                presence.n,
                presence.clusters,
            )
        low, high = self._find_bounds(presence)
        # An untrained model has heads that mediate a little, too: nobody would miss them.
        if not low > ROUNDING or high < SMALLEST[stage]:
            return Estimate.inapplicable(
                f"no head surely mediates {name} as much as is worth finding ({SMALLEST[stage]} logits): the "
                f"best one scores [{low:.2g}, {high:.2g}]",
                presence.n,
                presence.clusters,
            )
        sizes = count_trials(self._select(stage)[1])
        if not self._select(stage)[0].any():
            return Estimate.unsettled(f"all scenes ranked the heads of {name}", **sizes)
        if not np.isfinite(chosen.found.values).any():
            return Estimate.unsettled(f"all of the best heads of {name} have equal scores", **sizes)
        return None
