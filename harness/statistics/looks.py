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
"""What --trials is given for it."""

ERROR = 0.05
"""Two-sided error of all looks together."""

SHARES = (0.16, 0.40, 1.0)
"""Of an experiment's own number of trials, at each look."""

SPENT = (0.004, 0.006, 0.040)
"""Of ERROR, at each look; they add up to it."""

SURE = 0.005
"""An early look supports a claim only with a p-value this small, so that correction over claims keeps it."""

LEAST = 48
"""Trials of a look: half of them choose layers and heads, and what remains must be able to settle something."""

TINY = 1e-12
"""Beyond this far p-values are all the same."""

LOOKS = len(SHARES)


@dataclass(frozen=True)
class Look:
    """At which of several looks a claim is measured and judged; `ALL_TRIALS` stands for no looks at all.

    A value, given from the fixture `judge` to what measures, reads and decides: nothing else knows of looks.

    Attributes:
        index: 0 for the first look; None to ask all trials at once and judge by 95% intervals.
    """

    index: int | None = None

    @property
    def level(self) -> float:
        """The level of the intervals that decide: 0.95, or higher at one look of several."""
        return 1 - (ERROR if self.index is None else SPENT[self.index])

    @property
    def early(self) -> bool:
        """Whether more trials may follow: what was not found is then not yet known to be absent."""
        return self.index is not None and self.index < LOOKS - 1

    def inflate(self, p_value: float) -> float:
        """Turn a p-value of this look into one of all looks together, comparable with ERROR / 2."""
        return p_value if self.index is None else min(1.0, p_value * ERROR / SPENT[self.index])

    def count_trials(self, whole: int) -> int:
        """How many trials are asked of an experiment.

        Args:
            whole: The experiment's own number.
        """
        return whole if self.index is None else _trials_at(self.index, whole)

    def skip_to(self, whole: int) -> Look:
        """The first look from this one on that is worth it: far fewer trials than at the one after.

        Args:
            whole: The experiment's own number of trials.
        """
        if self.index is None:
            return self
        trials = [_trials_at(k, whole) for k in range(LOOKS)]
        worth = (k for k in range(LOOKS - 1) if 2 * trials[k] <= trials[k + 1])
        return Look(max(self.index, next(worth, LOOKS - 1)))

    def find_next(self, verdict: str, p_value: float | None, *, has_value: bool) -> Look | None:
        """The look that comes after this one; None if it ends here.

        Args:
            verdict: Of this look.
            p_value: One-sided, of the claim at this look alone; None where there is none.
            has_value: Whether trials were asked. That there is nothing to estimate is settled by all of them
                only, if it was read off some.
        """
        look, last = self.index, LOOKS - 1
        if look is None or look == last or _settled(verdict, p_value, look, has_value=has_value):
            return None
        if verdict in ("not_applicable", "refuted"):
            return Look(last)
        if p_value is None:
            return Look(look + 1)
        distance = -float(ndtri(min(max(p_value, TINY), 1 - TINY)))
        # As if the estimate stayed and its interval shrank as trials grow.
        likely = (
            k
            for k in range(look + 1, last)
            if _settles(distance * sqrt(SHARES[k] / SHARES[look]), k)
        )
        return Look(next(likely, last))


ALL_TRIALS = Look()
"""No looks: all trials at once, 95% intervals."""


def _trials_at(look: int, whole: int) -> int:
    return min(whole, max(LEAST, ceil(SHARES[look] * whole)))


def _settled(verdict: str, p_value: float | None, look: int, *, has_value: bool) -> bool:
    if verdict == "supported":
        return p_value is not None and p_value <= _sure(look)
    # Absence is seen by tests and searches of which no level is that of the look: fewer trials find less.
    if verdict == "not_applicable" or (verdict == "refuted" and p_value is None):
        return not has_value
    return verdict != "inconclusive"


def _settles(distance: float, look: int) -> bool:
    """Whether an estimate so many standard errors on the claimed side of its threshold is settled at a look."""
    return ndtr(-distance) <= _sure(look) or ndtr(distance) <= SPENT[look] / 2


def _sure(look: int) -> float:
    """SURE, as a p-value of one look alone."""
    return SURE * SPENT[look] / ERROR
