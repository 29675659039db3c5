"""Whether position IDs are relative to the group of objects or absolute in the image (section 4.1, A.5.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.measures.components import NEIGHBOURS
from harness.measures.partial import correlate_partially
from harness.measures.similarity import find_peak
from harness.readings.reading import Reading, count_trials, estimate_drawn, select_half
from harness.statistics.estimate import Estimate, proportion
from harness.stimuli.blocks import MIDDLE


class Blocks(Reading):
    """Turns curves and planes into the strength of codes: "relative", "absolute", "features"."""

    @property
    def layer(self) -> int:
        """The layer where place in the block is represented best, on the estimation half."""
        return find_peak(self.data.r.sel(code="relative", half="estimation").values)

    def strength(self, code: str) -> Estimate:
        """r of a code at the relative code's peak layer, on the evaluation half."""
        value, draws = self._read(code)
        return self._estimate(value, draws)

    def lead(self) -> Estimate:
        """How much better place in the block explains activations than place in the image does.

        The difference of r on the evaluation half, at the layer chosen on the other half (see `layer`).
        """
        (a, a_draws), (b, b_draws) = self._read("relative"), self._read("absolute")
        return self._estimate(a - b, a_draws - b_draws)

    def beyond(self, code: str, other: str) -> Estimate:
        """Partial r of a code, with what it shares with the other taken out; same layer and half as `lead`."""
        half = self.data.sel(half="evaluation")
        (a, a_draws), (b, b_draws) = self._read(code), self._read(other)
        value = float(correlate_partially(a, b, float(half.between)))
        return self._estimate(
            value, correlate_partially(a_draws, b_draws, half.between_draws.values)
        )

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
                **count_trials(scenes),
            )
        layer = int(agrees[:, first].mean(1).argmax())
        return proportion(agrees[layer, second], scenes)

    def _read(self, code: str) -> tuple[float, NDArray[np.float64]]:
        """r of a code and its draws [D], at the relative code's peak layer on the evaluation half."""
        chosen = self.data.sel(code=code, half="evaluation")
        return float(chosen.r.values[self.layer]), chosen.r_draws.values[:, self.layer]

    def _estimate(self, value: float, draws: NDArray[np.float64]) -> Estimate:
        return estimate_drawn(
            value, draws, **count_trials(select_half(self.data, "evaluation").scene)
        )
