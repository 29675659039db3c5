"""Random heads to hold against the best ones, drawn anew for every few scenes: intervals know of the draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.experiments.editing import Head
from harness.experiments.other_heads import OtherHeads, count_fewest

Item = TypeVar("Item")

DRAWS = 24
"""Sets of random heads, at most: twice as many as clusters that an interval needs."""


@dataclass(frozen=True)
class RandomHeads:
    """Sets of random heads, each for the trials about some of the scenes.

    Attributes:
        draws: Which set each trial is asked with, int64 [n]: what the interval of a comparison is clustered by.
        sets: The heads of each set.
    """

    draws: NDArray[np.int64]
    sets: list[list[Head]]

    @classmethod
    def deal(
        cls,
        heads: Sequence[Head],
        others: OtherHeads,
        scenes: NDArray[np.str_],
        rng: np.random.Generator,
    ) -> RandomHeads:
        """Draw sets of other heads, each as many as the given ones, and as many in every layer.

        Args:
            heads: To be matched; none of them is drawn.
            others: Those of which they are drawn.
            scenes: The scene of each trial [n]; all trials about one scene are asked with the same set.
            rng: Where the randomness comes from.
        """
        keys, numbers = np.unique(scenes, return_inverse=True)
        count = min(DRAWS, len(keys))
        dealt = rng.permutation(len(keys)) % count
        return cls(dealt[numbers].astype(np.int64), others.draw(heads, rng, count))

    @property
    def fewest(self) -> int:
        """The number of heads in the smallest set."""
        return count_fewest(self.sets)

    def ask(
        self,
        items: Sequence[Item],
        answer: Callable[[list[Item], list[Head]], NDArray[np.bool_]],
    ) -> NDArray[np.bool_]:
        """What is true of each trial when it is asked with the set of heads that was dealt to it.

        Args:
            items: One for each trial, n of them.
            answer: Asks some of them with one set, and returns bool [as many].

        Returns:
            bool [n].
        """
        found = np.zeros(len(items), bool)
        for number, heads in enumerate(self.sets):
            rows = np.flatnonzero(self.draws == number)
            found[rows] = answer([items[i] for i in rows.tolist()], heads)
        return found
