"""The cell that the last token points to, decoded from its state by the nearest mean (section 4.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.experiments.halves import Halves
from harness.measures.probes import label_by_nearest_mean
from harness.statistics.halves import draw_estimation_half


@dataclass(frozen=True)
class CellDecoder:
    """Mean states of the last token by the cell of the target, from clear trials that were answered right.

    Attributes:
        layer: Where states are decoded; None where too few trials were answered right to learn anything.
        known: States of the clear trials that were answered right, at that layer, float32 [k, d].
        cells: Their cells [k].
        held: Which clear trials test the decoder: those of the evaluation half that were answered right, [n].
        found: Which of the clear trials it decodes to their target, learned on the other half; False for
            trials that are not held out, [n].
    """

    layer: int | None
    known: NDArray[np.float32]
    cells: NDArray[np.int64]
    held: NDArray[np.bool_]
    found: NDArray[np.bool_]

    @classmethod
    def learn(
        cls,
        states: NDArray[np.float32],
        cells: NDArray[np.int64],
        right: NDArray[np.bool_],
        halves: Halves,
        rng: np.random.Generator,
    ) -> CellDecoder:
        """Choose the layer within the estimation half, and test the decoder on the evaluation half.

        Args:
            states: Of n clear trials at the last token, [L, n, d].
            cells: The cell of each target [n].
            right: Which trials were answered right, [n].
            halves: Of the trials.
            rng: Where the randomness comes from.
        """
        learning, held = halves.first & right, halves.second & right
        found = np.zeros(len(cells), bool)
        scenes = halves.scenes[learning]
        if len(np.unique(scenes)) < 2 or len(np.unique(cells[learning])) < 2:
            return cls(None, states[0, :0], cells[:0], held, found)
        part = draw_estimation_half(scenes.tolist(), rng)
        of, known = states[:, learning], cells[learning]
        if len(np.unique(known[part])) < 2:
            return cls(None, states[0, :0], cells[:0], held, found)
        shares = [
            (label_by_nearest_mean(x[part], known[part], x[~part]) == known[~part]).mean()
            for x in of
        ]
        layer = int(np.argmax(shares))
        if held.any():
            decoded = label_by_nearest_mean(of[layer], known, states[layer, held])
            found[held] = decoded == cells[held]
        return cls(layer, states[layer, right], cells[right], held, found)

    def decode(self, states: NDArray[np.float32]) -> NDArray[np.int64]:
        """The cell that each state [L, m, d] is nearest to, [m]; -1 where nothing was learned."""
        if self.layer is None:
            return np.full(states.shape[1], -1)
        return label_by_nearest_mean(self.known, self.cells, states[self.layer])
