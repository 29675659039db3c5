"""Trials added until a claim is settled: a few looks at growing numbers, with the risk of error shared out.

With `--trials auto` a claim is judged on a sixth of an experiment's trials, then on two fifths, then on all,
and the first look that settles it ends it. Looking three times at 95% would be wrong more often than one
time in twenty; here the errors of all looks together are what one look at 95% has (a union bound: it holds for
any estimator and however the looks depend on each other): early looks get little of it, the last one nearly
all, so that what three looks cannot settle is decided as one look would have. A look that would settle nothing,
as far as the one before can tell, is left out: trials are asked anew at each, and what is left out is no error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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

_LOOK: ContextVar[int | None] = ContextVar("look", default=None)


def confidence() -> float:
    """The level of the intervals that decide: 0.95, or higher during a look of several."""
    look = _LOOK.get()
    return 1 - (ERROR if look is None else SPENT[look])


def early() -> bool:
    """Whether more trials may follow: what was not found is then not yet known to be absent."""
    look = _LOOK.get()
    return look is not None and look < LOOKS - 1


def inflated(p_value: float) -> float:
    """A p-value of the present look, as one of all looks together: comparable with ERROR / 2."""
    look = _LOOK.get()
    return p_value if look is None else min(1.0, p_value * ERROR / SPENT[look])


def at_once() -> None:
    """Judge what follows as ever, until `looking` ends: it is measured with all of its trials."""
    _LOOK.set(None)


def begin_with(whole: int) -> None:
    """Leave out the first looks at an experiment that would not be far fewer trials than the one after.

    Until `looking` ends; outside any look nothing happens.

    Args:
        whole: The experiment's own number of trials.
    """
    look = _LOOK.get()
    if look is not None:
        trials = [_trials_at(k, whole) for k in range(LOOKS)]
        worth = (k for k in range(LOOKS - 1) if 2 * trials[k] <= trials[k + 1])
        _LOOK.set(max(look, next(worth, LOOKS - 1)))


@contextmanager
def looking(look: int | None) -> Iterator[None]:
    """Within it, trials are asked and intervals made as at one look, counted from 0; as ever with None."""
    token = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(token)


def trials_now(whole: int) -> int:
    """Trials to ask at the present look.

    Args:
        whole: The experiment's own number, which is also what is asked outside any look.
    """
    look = _LOOK.get()
    return whole if look is None else _trials_at(look, whole)


def _trials_at(look: int, whole: int) -> int:
    return min(whole, max(LEAST, ceil(SHARES[look] * whole)))


def next_look(verdict: str, p_value: float | None, *, has_value: bool) -> int | None:
    """The look that comes after the present one; None if it ends here.

    Args:
        verdict: Of this look.
        p_value: One-sided, of the claim at this look alone; None where there is none.
        has_value: Whether trials were asked. That there is nothing to estimate is settled by all of them only,
            if it was read off some.
    """
    look = _LOOK.get()
    if look is None or look == LOOKS - 1 or _settled(verdict, p_value, look, has_value=has_value):
        return None
    last = LOOKS - 1
    if verdict in ("not_applicable", "refuted"):
        return last
    if p_value is None:
        return look + 1
    distance = -float(ndtri(min(max(p_value, TINY), 1 - TINY)))
    # As if the estimate stayed and its interval shrank as trials grow.
    return next(
        (
            k
            for k in range(look + 1, last)
            if _settles(distance * sqrt(SHARES[k] / SHARES[look]), k)
        ),
        last,
    )


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
