"""What the readings of all experiments that move answers share: how they stand against rival explanations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.measures.rivals import Rivals
from harness.readings.reading import Reading
from harness.statistics.estimate import Estimate


class RivalReading(Reading):
    """Compares explanations of answers under an edit, by the names of `harness.measures.explanations`.

    Where an experiment edits at several stages, `which` names one of them.
    """

    def rivals(self, which: str = "") -> Rivals:
        """The answers under the edit that is judged, beside what each explanation predicts."""
        edited = self._select_edit(which)
        data = self.data
        if "asked_part" in data:
            data = data.isel(asked=np.flatnonzero(data.asked_part.values == "evaluation"))
        predicted = data.predicted
        chosen = predicted.sel({d: v for d, v in edited.items() if d in predicted.dims})
        return Rivals(
            data.said.sel(edited).transpose("asked").values,
            chosen.transpose("explanation", "asked").values,
            tuple(data.explanation.values.tolist()),
            data.asked_scene.values,
        )

    def explained(self, explanation: str, which: str = "") -> Estimate:
        """The share of answers under the edit that an explanation predicts."""
        return self._explain_missing(which) or self.rivals(which).explained(explanation)

    def lead_over_rivals(
        self,
        which: str = "",
        *,
        explanation: str = "relative",
        over: Sequence[str] | None = None,
    ) -> Estimate:
        """By how much more answers an explanation predicts than its best rival, on trials that tell them apart.

        Args:
            which: The stage, if there are several.
            explanation: By default the position ID.
            over: The rivals; all others if None.
        """
        missing = self._explain_missing(which)
        return missing or self.rivals(which).lead(explanation, over)

    def best_rival(self, which: str = "") -> str:
        """The explanation that the position ID leads by least."""
        return self.rivals(which).best_rival()

    def _select_edit(self, which: str) -> dict[str, str | int]:
        """Labels of `said` that select the edit that is judged."""
        raise NotImplementedError

    def _explain_missing(self, which: str = "") -> Estimate | None:
        """The estimate where there is nothing to edit; None if there is."""
        raise NotImplementedError
