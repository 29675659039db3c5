"""The trials that judge a claim, as a simulation of its estimate needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Judged:
    """The trials of one measurement that judge a claim.

    Attributes:
        items: Number of the prompt and image of each trial, equal where both are the same, int64 [n].
        scenes: Number of the scene of each trial, by which intervals are clustered, int64 [n].
    """

    items: NDArray[np.int64]
    scenes: NDArray[np.int64]

    @property
    def single(self) -> bool:
        """Whether each trial shows a scene of its own."""
        return len(np.unique(self.scenes)) == len(self.scenes)

    def answer(
        self, share: float | NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Draw for each trial whether it is answered right, alike for the same prompt and image, bool [n]."""
        return (rng.random(int(self.items.max()) + 1) < share)[self.items]
