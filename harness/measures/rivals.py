"""Rival explanations of the answers under an edit: what each predicts, and how often it is right.

An edit of position IDs that moves an answer may do so for another reason: the subject repeats a word of the
prompt, goes on in the order of the text, or names what the prompt left out as it would have done anyway. All
explanations are scored on the same edited trials, each by the word that it predicts there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.measures.explanations import UNEDITED
from harness.statistics.estimate import Estimate, proportion
from harness.statistics.least import take_least
from harness.statistics.shares import subtract_shares


@dataclass(frozen=True)
class Rivals:
    """The answers of n edited trials beside what each explanation predicts.

    Attributes:
        said: The words of the answers, [n].
        predicted: The words that each explanation predicts, [explanation, n]; "" where it predicts none.
        names: The explanations, in the order of `predicted`.
        scenes: The scene of each trial, by which intervals are clustered, [n].

    Raises:
        ValueError: The shapes do not fit.
    """

    said: NDArray[np.str_]
    predicted: NDArray[np.str_]
    names: tuple[str, ...]
    scenes: NDArray[np.str_]

    def __post_init__(self) -> None:
        wanted = (len(self.names), len(self.said))
        if self.predicted.shape != wanted or len(self.scenes) != len(self.said):
            raise ValueError(
                f"{len(self.said)} answers, {len(self.scenes)} scenes and predictions of shape "
                f"{self.predicted.shape}, not {wanted}"
            )

    def explained(self, name: str) -> Estimate:
        """The share of answers that an explanation predicts, of the trials where it predicts a word."""
        words = self._words(name)
        asked = words != ""
        if not asked.any():
            return Estimate.inapplicable(f"{name} predicts no word here")
        return proportion((self.said == words)[asked], self.scenes[asked])

    def compare(self, name: str, other: str) -> Estimate | None:
        """By how much more answers one explanation predicts than another, where they predict different words.

        What would be said without an edit is no sign of an edit: an explanation by the edit is scored only
        where it predicts a change. The other one keeps its base rate, which makes the difference too small
        rather than too large.

        Returns:
            The paired difference of the two shares; None if no trial tells the two apart.
        """
        first, second = self._words(name), self._words(other)
        apart = (first != second) & (first != "") & (second != "")
        if name not in UNEDITED and "nothing" in self.names:
            apart &= first != self._words("nothing")
        if not apart.any():
            return None
        won, lost = (self.said[apart] == words[apart] for words in (first, second))
        return subtract_shares(won, lost, self.scenes[apart])

    def compare_all(self, name: str, over: Sequence[str] | None = None) -> dict[str, Estimate]:
        """The comparisons of one explanation with all others, or those of `over`, that trials tell apart."""
        others = [n for n in over or self.names if n != name]
        found = {other: self.compare(name, other) for other in others}
        return {other: estimate for other, estimate in found.items() if estimate is not None}

    def best_rival(self, name: str = "relative") -> str:
        """The explanation that an explanation leads by least; "" if no trial tells it from any."""
        values = {n: e.value for n, e in self.compare_all(name).items() if e.value is not None}
        return min(values, key=lambda n: values[n], default="")

    def lead(self, name: str = "relative", over: Sequence[str] | None = None) -> Estimate:
        """By how much more answers an explanation predicts than its best rival.

        The interval knows that the best rival was chosen on these trials (`take_least`).

        Args:
            name: The explanation.
            over: Its rivals; all others if None.
        """
        found = self.compare_all(name, over)
        if not found:
            return Estimate.inapplicable(f"no trial tells {name} from another explanation")
        return take_least(list(found.values()))

    def _words(self, name: str) -> NDArray[np.str_]:
        return self.predicted[self.names.index(name)]
