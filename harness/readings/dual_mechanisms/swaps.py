"""What exchanged strips and exchanged items do to the answer (section 5.2.2, Figures 5 to 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.readings.dual_mechanisms.pairs import (
    PairReading,
    find_largest_slot,
    find_middle_slots,
)
from harness.readings.reading import count_trials
from harness.statistics.clusters import draw_cluster_weights
from harness.statistics.draws import from_draws
from harness.statistics.estimate import Estimate
from harness.statistics.halves import DRAWS
from harness.statistics.least import take_least
from harness.statistics.orders import find_onset
from harness.statistics.shares import mean_share, subtract_mean_shares

MIDDLE = (0.30, 0.65)
"""Depths between which the decoder is said to strengthen the ordering (protocol, claim C4)."""

CEILING = 0.95
"""Above this probability at the decoder's input there is nothing to strengthen."""

COLUMNS = ("above", "below")


class Swaps(PairReading):
    """Turns probabilities under exchanges into shares; what is exchanged is named as in the measurement."""

    def flipped(self, what: str = "strips") -> Estimate:
        """Probability of the counterfactual answer at slot 0, in the direction where it is least (C1)."""
        if missing := self._explain_missing() or self._explain_no_room(what):
            return missing
        moved, scenes = self._first(what, "c2"), self.data.scene.values
        return self._least_direction(lambda m: mean_share(moved[m], scenes[m]), self._select("all"))

    def more_than(self, other: str, what: str = "strips") -> Estimate:
        """How much likelier the counterfactual answer is than under another exchange, at slot 0 (C2).

        In the direction where that is least.
        """
        if missing := self._explain_missing() or self._explain_no_room(what):
            return missing
        moved, less = self._first(what, "c2"), self._first(other, "c2")
        scenes = self.data.scene.values
        return self._least_direction(
            lambda m: subtract_mean_shares(moved[m], less[m], scenes[m]), self._select("all")
        )

    def specific(self) -> Estimate:
        """The same against the stronger one of the exchanges that hold no item."""
        return self._explain_missing() or take_least(
            [self.more_than(other) for other in ("crosswise", "background")]
        )

    def objects_flip(self) -> Estimate:
        """Probability of the counterfactual less that of the clean answer where exchanged items move most (C2).

        The slot is chosen on the estimation half.
        """
        if missing := self._explain_missing():
            return missing
        moved, kept = self._curve("objects", "c2"), self._curve("objects", "c0")
        lead = self.data.swapped.sel(kind="objects")
        slot = find_largest_slot(
            lead.sel(word="c2") - lead.sel(word="c0"),
            self._select("estimation"),
            range(self.data.sizes["slot"]),
        )
        chosen = self._select("evaluation")
        return subtract_mean_shares(
            moved[slot, chosen], kept[slot, chosen], self.data.scene.values[chosen]
        )

    def read_out(self) -> Estimate:
        """How far the last slot where strips flip lies from the onset of the word at the last token (C3).

        In shares of the depth, whichever comes first. Absent where strips flip at no slot.
        """
        if missing := self._explain_missing():
            return missing
        scenes, asked = self.data.scene.values, self.data.get("asked_scene")
        if asked is None:
            return Estimate.inapplicable("the last token was patched in no pair")
        depth = self.data.sizes["slot"] - 1
        lead = self._curve("strips", "c2") - self._curve("strips", "c0")
        word = np.clip(self.data.word_curve.transpose("slot", "asked").values, 0, 1)
        rng = np.random.default_rng(0)
        leads, words = (
            self._average_draws(curve, labels, rng)
            for curve, labels in ((lead, scenes), (word, asked.values))
        )
        flips = lead.mean(1) > 0
        sizes = count_trials(scenes)
        if not flips.any() or not (leads > 0).any(1).all():
            surely = not (leads > 0).any(1).mean() > 0.05
            return (Estimate.absent if surely else Estimate.unsettled)(
                "exchanged strips flip the answer at no slot, or in few draws of pairs", **sizes
            )
        value = abs(_find_last(flips[None])[0] - float(find_onset(word.mean(1)))) / depth
        draws = np.abs(_find_last(leads > 0) - find_onset(words)) / depth
        return from_draws(value, draws, **sizes)

    def strengthened(self) -> Estimate:
        """How much likelier strips flip columns in the middle layers than at the decoder's input (C4).

        The slot is chosen on the estimation half.
        """
        if missing := self._explain_missing():
            return missing
        columns = np.isin(self.data.direction.values, COLUMNS)
        judged, scenes = columns & self._select("evaluation"), self.data.scene.values
        moved = self._curve("strips", "c2")
        if moved[0, columns].mean() > CEILING:
            return Estimate.inapplicable(
                f"strips flip columns with a probability of {moved[0, columns].mean():.3f} at the decoder's "
                "input: there is nothing to strengthen",
                **count_trials(scenes[judged]),
            )
        slot = find_largest_slot(
            self.data.swapped.sel(kind="strips", word="c2"),
            columns & self._select("estimation"),
            find_middle_slots(len(moved), *MIDDLE),
        )
        return subtract_mean_shares(moved[slot, judged], moved[0, judged], scenes[judged])

    def _explain_no_room(self, what: str) -> Estimate | None:
        if what != "misaligned" or what in self.data.once.values.tolist():
            return None
        return Estimate.inapplicable(
            "strips cannot be misaligned: there are no tokens between them"
        )

    def _first(self, what: str, word: str) -> NDArray[np.float64]:
        """Probability of a word under an exchange at the decoder's input, [trial]."""
        if what in self.data.once.values.tolist():
            return np.clip(self.data.swapped_once.sel(once=what, word=word).values, 0, 1)
        return self._curve(what, word)[0]

    def _curve(self, kind: str, word: str) -> NDArray[np.float64]:
        """Probability of a word under an exchange at each slot, [slot, trial]."""
        chosen = self.data.swapped.sel(kind=kind, word=word)
        return np.clip(chosen.transpose("slot", "trial").values, 0, 1)

    @staticmethod
    def _average_draws(
        curves: NDArray[np.float64], scenes: NDArray[np.str_], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """The mean of curves [slot, n] in each draw of scenes, [draw, slot]."""
        weights = draw_cluster_weights(scenes, DRAWS, rng)
        return (weights / weights.sum(1, keepdims=True)) @ curves.T


def _find_last(flips: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The last slot that is true in each row of [n, slot], each of which has one."""
    return flips.shape[1] - 1 - flips[:, ::-1].argmax(1)
