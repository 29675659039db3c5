"""What shared features do to position IDs and to answers (section 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.measures.similarity import find_peak
from harness.readings.decoding import explain_unreadable
from harness.readings.reading import (
    Reading,
    Sizes,
    count_trials,
    estimate_drawn,
    estimate_share,
    make_missing,
    read_value,
)
from harness.statistics.estimate import MINIMUM_CLUSTERS, Estimate, mean, proportion
from harness.statistics.evidence import Evidence
from harness.statistics.shares import add_shares

WINDOWS = {"3x3": 5, "2x2": 1}
"""Consecutive layers that are averaged, as what is published of each grid does: bars of 3x3, peaks of 2x2."""

ANSWERED = 1 / 3
"""Clear scenes that must be named right for a fall of accuracy to mean anything.

It is three times what guessing among nine objects gives; the fewest published are 0.688.
"""

PRESENT = 0.1
"""Up to this correlation position counts as absent, so that none of it can be lost."""


TOKENS = {"mentions": ("separator", "noun", "color")}
"""The tokens of a mention where position is measured."""


@dataclass(frozen=True)
class Strength:
    """How strongly position is represented in one set of scenes.

    Attributes:
        place: The token where it was read: "last", or the one of mentions that the estimation half chooses.
        r: Mean correlation over the grid's layers at the peak, on the evaluation half.
        draws: The same in bootstrap draws, [D].
        n: Trials of that half.
        clusters: How many scenes they show.
    """

    place: str
    r: float
    draws: NDArray[np.float64]
    n: int
    clusters: int


class Entropy(Reading):
    """Turns curves and answers on the four sets into what shared features change.

    Grids are "2x2" and "3x3", places are "mentions" and "last". Of mentions each set is read at the token where
    its estimation half has the highest peak.
    """

    def position_gap(self, grid: str, place: str) -> Estimate:
        """Position RSA with high less that with low entropy, at each one's peak or the layers around it."""
        high, low, sizes = self._compare(grid, place)
        gap = estimate_drawn(high.r - low.r, high.draws - low.draws, **sizes)
        if place == "last":
            return gap
        where = " and ".join(dict.fromkeys((high.place, low.place)))
        return replace(gap, method=f"{gap.method}; at the {where}")

    def position_ratio(self, grid: str, place: str) -> Estimate:
        """Position RSA with low as a share of that with high entropy, at the layers of `position_gap`."""
        high, low, sizes = self._compare(grid, place)
        tail = (1 - self.look.level) / 2
        known = np.isfinite(high.draws).all()
        lowest, highest = np.quantile(high.draws, (tail, 1 - tail)) if known else (0, 0)
        if lowest <= PRESENT:
            surely = bool(highest < PRESENT)
            return make_missing(
                f"position is {'not ' if surely else 'not surely '}represented with high entropy either "
                f"(r = {high.r:.2f}), so there is nothing to lose",
                surely=surely,
                **sizes,
            )
        return estimate_drawn(low.r / high.r, low.draws / high.draws, **sizes)

    def accuracy(self, which: str, *, color: bool = False) -> Estimate:
        """Share of right answers in one set, named by entropy and grid, such as "high 3x3".

        Args:
            which: The set.
            color: Compare the color alone; else color and shape, if the subject says both.
        """
        chosen = self.data.sel(set=which)
        right = chosen.right_color if color else chosen.right
        return self._tell_scored(estimate_share(right, chosen.scene), color)

    def accuracy_gap(self, grid: str, *, color: bool = False) -> Estimate:
        """Accuracy with high less that with low entropy; the sets are independent.

        Not applicable to a subject that does not name the objects of clear scenes either.
        """
        answered = self.accuracy(f"high {grid}", color=color)
        lowest, highest = self._find_bounds(answered)
        if lowest <= ANSWERED:
            missing = Estimate.inapplicable if highest < ANSWERED else Estimate.unsettled
            return missing(
                f"{answered.value:.0%} of clear scenes are named right ({self._name_scored(color)}): too few "
                "to ask how many fewer crowded ones are",
                n=answered.n,
                clusters=answered.clusters,
            )
        sets = [self.data.sel(set=f"{entropy} {grid}") for entropy in ("high", "low")]
        answers = [chosen.right_color if color else chosen.right for chosen in sets]
        high, low = (estimate_share(r, s.scene) for r, s in zip(answers, sets, strict=True))
        found = add_shares(
            [(1, high), (-1, low)],
            n=min(high.n, low.n),
            clusters=min(high.clusters, low.clusters),
        )
        # Two runs are compared trial by trial: each of one set beside one of the other, as they were drawn.
        scenes = [f"{a} {b}" for a, b in zip(*(s.scene.values for s in sets), strict=True)]
        changes = answers[0].values.astype(float) - answers[1].values
        found = replace(found, evidence=Evidence(changes, tuple(scenes)))
        return self._tell_scored(found, color)

    def errors_predicted(self) -> Estimate:
        """How much more often than by chance a wrong answer is the object that the last token points to.

        By chance means the objects that the other wrong trials point to. How often that is so is uncertain as
        well: each trial counts by what it names and by what it points to.
        """
        unread = explain_unreadable(
            self.data.held.values,
            self.data.decoded.values,
            self.data.scene.sel(set="high 3x3").values,
            self.look,
        )
        if unread:
            return unread
        low = self.data.sel(set="low 3x3")
        wrong = ~low.right.values.astype(bool) & (self.data.named.values != "")
        scenes, errors = low.scene[wrong], int(wrong.sum())
        sizes = count_trials(scenes)
        if sizes["clusters"] < MINIMUM_CLUSTERS:
            return Estimate.inapplicable(
                f"{errors} of {len(wrong)} answers are binding errors: too few to predict", **sizes
            )
        pointed, named = self.data.pointed.values[wrong], self.data.named.values[wrong]
        alike = pointed[:, None] == named[None, :]
        right = np.diag(alike)
        # Of each trial, how often the others point to what it names, and name what it points to.
        by_named, by_pointed = ((alike.sum(axis) - right) / (errors - 1) for axis in (0, 1))
        by_chance = by_named + by_pointed - by_named.mean()
        chance = _limit_to_shares(mean(by_chance, scenes.values))
        found = add_shares([(1, proportion(right, scenes.values)), (-1, chance)], **sizes)
        evidence = Evidence(right - by_chance, tuple(map(str, scenes.values)))
        return self._tell_scored(replace(found, evidence=evidence))

    def _name_scored(self, color: bool = False) -> str:
        return "color alone" if color else str(self.data.attrs["scored"])

    def _tell_scored(self, estimate: Estimate, color: bool = False) -> Estimate:
        """The same estimate, whose method says what of an answer was compared."""
        return replace(estimate, method=f"{estimate.method}; {self._name_scored(color)}")

    def _compare(self, grid: str, place: str) -> tuple[Strength, Strength, Sizes]:
        """With high entropy, with low, and the smaller numbers of trials and scenes of the two."""
        window = WINDOWS[grid]
        high, low = (self._read(f"{entropy} {grid}", place, window) for entropy in ("high", "low"))
        sizes: Sizes = {"n": min(high.n, low.n), "clusters": min(high.clusters, low.clusters)}
        return high, low, sizes

    def _read(self, which: str, place: str, layers: int) -> Strength:
        known, of_set = self.data.place.values.tolist(), self.data.sel(set=which)
        first_half = of_set.r.sel(half="estimation")
        token = max(
            (t for t in TOKENS.get(place, (place,)) if t in known),
            key=lambda t: float(first_half.sel(place=t).fillna(-np.inf).max()),
        )
        chosen, curve = of_set.sel(place=token), first_half.sel(place=token).values
        middle = find_peak(curve)
        first = int(np.clip(middle - layers // 2, 0, max(0, len(curve) - layers)))
        window = slice(first, first + layers)
        return Strength(
            token,
            float(chosen.r.sel(half="evaluation").values[window].mean()),
            chosen.r_draws.values[:, window].mean(1),
            int(chosen.n),
            int(chosen.scenes),
        )


def _limit_to_shares(estimate: Estimate) -> Estimate:
    """The same estimate of a share, with an interval that holds its value and ends at 0 and 1."""
    value = read_value(estimate)

    def interval(level: float) -> tuple[float, float]:
        low, high = estimate.interval(abs(level))
        ends = max(0.0, min(low, value)), min(1.0, max(high, value))
        return ends if level >= 0 else ends[::-1]

    return replace(estimate, interval=interval)
