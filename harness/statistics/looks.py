"""Trials added until a claim is settled: a few looks at growing numbers, with the risk of error shared out.

With `--trials auto` a claim is judged on a sixth of an experiment's trials, then on two fifths, then on all,
and the first look that settles it ends it. Looking three times at 95% would be wrong more often than one
time in twenty; here the errors of all looks together are what one look at 95% has (a union bound: it holds for
any estimator and however the looks depend on each other): early looks get little of it, the last one nearly
all, so that what three looks cannot settle is decided as one look would have. A look that would settle nothing,
as far as the one before can tell, is left out: trials are asked anew at each, and what is left out is no error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

from scipy.special import ndtr, ndtri

AUTO = "auto"
"""The value of --trials that asks for looks."""

ERROR = 0.05
"""Two-sided error of all looks together."""

SHARES = (0.16, 0.40, 1.0)
"""Share of an experiment's own number of trials that is asked at each look."""

SPENT = (0.004, 0.006, 0.040)
"""The part of ERROR that each look may spend; together they make up ERROR."""

SURE = 0.005
"""An early look supports a claim only with a p-value this small, so that correction over claims keeps it."""

LEAST = 48
"""Fewest trials of a look: half of them choose layers and heads, and the rest must be able to settle it."""

TINY = 1e-12
"""P-values are kept this far from 0 and 1, so that their normal quantiles are finite."""

LOOKS = len(SHARES)


@dataclass(frozen=True)
class Look:
    """One of several looks at which a claim is measured and judged; `ALL_TRIALS` means no looks at all.

    The fixture `judge` passes it to measuring, reading and deciding; nothing else knows of looks.

    Attributes:
        index: 0 for the first look; None if all trials are asked at once and judged by 95% intervals.
    """

    index: int | None = None

    @property
    def level(self) -> float:
        """The level of the intervals that decide: 0.95, or higher at one look of several."""
        return 1 - (ERROR if self.index is None else SPENT[self.index])

    @property
    def early(self) -> bool:
        """Whether more trials may follow, so that something not found yet may still be there."""
        return self.index is not None and self.index < LOOKS - 1

    def comes_before(self, other: Look) -> bool:
        """Whether another look asks more trials; nothing comes after all trials at once."""
        return self.index is not None and (other.index is None or self.index < other.index)

    def inflate(self, p_value: float) -> float:
        """Turn a p-value of this look into one of all looks together, comparable with ERROR / 2."""
        return p_value if self.index is None else min(1.0, p_value * ERROR / SPENT[self.index])

    def count_trials(self, whole: int) -> int:
        """How many trials an experiment asks at this look.

        Args:
            whole: The experiment's own number.
        """
        return whole if self.index is None else _count_trials_at(self.index, whole)

    def skip_to(self, whole: int) -> Look:
        """The first look from this one on that asks at most half as many trials as the next, or the last look.

        Args:
            whole: The experiment's own number of trials.
        """
        if self.index is None:
            return self
        trials = [_count_trials_at(k, whole) for k in range(LOOKS)]
        worth = (k for k in range(LOOKS - 1) if 2 * trials[k] <= trials[k + 1])
        return Look(max(self.index, next(worth, LOOKS - 1)))

    def find_next(self, verdict: str, p_value: float | None, *, has_value: bool) -> Look | None:
        """The look that comes after this one, or None if the claim is settled.

        Args:
            verdict: The verdict at this look.
            p_value: One-sided p-value of the claim at this look alone; None where there is none.
            has_value: Whether the estimate rests on trials. If so, that there is nothing to estimate is settled
                only by all of them.
        """
        look, last = self.index, LOOKS - 1
        if look is None or look == last or _is_settled(verdict, p_value, look, has_value=has_value):
            return None
        if verdict in ("not_applicable", "refuted"):
            return Look(last)
        if p_value is None:
            return Look(look + 1)
        distance = -float(ndtri(min(max(p_value, TINY), 1 - TINY)))
        # Assume that the estimate stays and its interval shrinks as trials are added.
        likely = (
            k
            for k in range(look + 1, last)
            if _would_settle(distance * sqrt(SHARES[k] / SHARES[look]), k)
        )
        return Look(next(likely, last))


ALL_TRIALS = Look()
"""No looks: all trials are asked at once and judged by 95% intervals."""


def _count_trials_at(look: int, whole: int) -> int:
    return min(whole, max(LEAST, ceil(SHARES[look] * whole)))


def _is_settled(verdict: str, p_value: float | None, look: int, *, has_value: bool) -> bool:
    if verdict == "supported":
        return p_value is not None and p_value <= _largest_sure_p(look)
    # Absence is found by tests and searches that do not use the look's level, and fewer trials find less.
    if verdict == "not_applicable" or (verdict == "refuted" and p_value is None):
        return not has_value
    return verdict != "inconclusive"


def _would_settle(distance: float, look: int) -> bool:
    """Whether a look settles an estimate this many standard errors on the claimed side of its threshold."""
    return ndtr(-distance) <= _largest_sure_p(look) or ndtr(distance) <= SPENT[look] / 2


def _largest_sure_p(look: int) -> float:
    """SURE converted to a p-value of one look alone."""
    return SURE * SPENT[look] / ERROR
