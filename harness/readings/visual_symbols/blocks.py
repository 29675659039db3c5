"""Whether position IDs are relative to the group of objects or absolute in the image (section 4.1, A.5.3)."""

from __future__ import annotations

import numpy as np

from harness.measures.components import NEIGHBOURS
from harness.measures.partial import partial
from harness.measures.similarity import peak
from harness.readings.reading import Reading, count, estimate_drawn
from harness.statistics.estimate import Estimate, proportion
from harness.stimuli.blocks import MIDDLE


class Blocks(Reading):
    """Reading of the curves and planes. Codes are "relative", "absolute", "features"."""

    @property
    def layer(self) -> int:
        """Where the relative code is strongest, on the estimation half."""
        return peak(self.data.r.sel(code="relative", half="estimation").values)

    def strength(self, code: str) -> Estimate:
        """r of a code at the relative code's peak layer, on the evaluation half."""
        value, draws = self._at(code)
        return self._estimate(value, draws)

    def lead(self) -> Estimate:
        """r of relative minus r of absolute positions at the relative peak layer, evaluation half."""
        (a, a_draws), (b, b_draws) = self._at("relative"), self._at("absolute")
        return self._estimate(a - b, a_draws - b_draws)

    def beyond(self, code: str, other: str) -> Estimate:
        """Partial r of a code, with what it shares with the other taken out; layer and half as above."""
        half = self.data.sel(half="evaluation")
        (a, a_draws), (b, b_draws) = self._at(code), self._at(other)
        value = float(partial(a, b, float(half.between)))
        return self._estimate(value, partial(a_draws, b_draws, half.between_draws.values))

    def plane_of_slots(self, which: str) -> Estimate:
        """Share of trials whose neighbours share the slot, at the layer best on the estimation half.

        Args:
            which: "all" trials, or those with the target in the "middle" cell.
        """
        chosen = self.data.sel(which=which)
        among = np.ones(self.data.sizes["trial"], bool)
        if which == "middle":
            among = self.data.cell.values == "{} {}".format(*MIDDLE)
        agrees = chosen.agrees.values.astype(bool)
        first = among & (self.data.part.values == "estimation")
        second = among & ~first & (self.data.part.values == "evaluation")
        least = min(
            np.unique(self.data.slot.values[half], return_counts=True)[1].min()
            for half in (first, second)
        )
        scenes = self.data.scene.values[second]
        if least <= NEIGHBOURS:
            return Estimate.unsettled(
                f"only {least} trials of some slot in one half, where {NEIGHBOURS} neighbours are asked: "
                "raise --trials",
                **count(scenes),
            )
        layer = int(agrees[:, first].mean(1).argmax())
        return proportion(agrees[layer, second], scenes)

    def _at(self, code: str) -> tuple[float, np.ndarray]:
        chosen = self.data.sel(code=code, half="evaluation")
        return float(chosen.r.values[self.layer]), chosen.r_draws.values[:, self.layer]

    def _estimate(self, value: float, draws: np.ndarray) -> Estimate:
        scenes = self.data.scene.values[self.data.part.values == "evaluation"]
        return estimate_drawn(value, draws, **count(scenes))
