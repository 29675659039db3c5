"""Trials added until a claim is settled: a few looks at growing numbers, with the risk of error shared out.

With `--trials auto` a claim is judged on a sixth of an experiment's trials, then on two fifths, then on all,
and the first look that settles it ends it. Looking three times at 95% would be wrong more often than one
time in twenty; here the errors of all looks together are what one look at 95% has (a union bound: it holds for
any estimator and however the looks depend on each other): early looks get little of it, the last one nearly
all, so that what three looks cannot settle is decided as one look would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import ceil

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

LOOKS = len(SHARES)

_LOOK: ContextVar[int | None] = ContextVar("look", default=None)


def confidence() -> float:
    """The level of the intervals that decide: 0.95, or higher during a look of several."""
    look = _LOOK.get()
    return 1 - (ERROR if look is None else SPENT[look])


def inflated(p_value: float) -> float:
    """A p-value of the present look, as one of all looks together: comparable with ERROR / 2."""
    look = _LOOK.get()
    return p_value if look is None else min(1.0, p_value * ERROR / SPENT[look])


@contextmanager
def looking(look: int | None) -> Iterator[None]:
    """Within it, trials are asked and intervals made as at one look, counted from 0; as ever with None."""
    token = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(token)


def trials_now(whole: int, least: int) -> int:
    """Trials to ask at the present look.

    Args:
        whole: The experiment's own number, which is also what is asked outside any look.
        least: No interval can be had from fewer.
    """
    look = _LOOK.get()
    return whole if look is None else min(whole, max(least, ceil(SHARES[look] * whole)))


def settled(verdict: str, p_value: float | None, *, has_value: bool) -> bool:
    """Whether an early look ends it.

    Args:
        verdict: Of this look.
        p_value: Of the claim, as `inflated` gives it; None where there is none.
        has_value: Whether something was estimated. That there is nothing to estimate is settled by all trials
            only, if it was read off some.
    """
    if verdict == "supported":
        return p_value is not None and p_value <= SURE
    if verdict == "not_applicable":
        return not has_value
    return verdict != "inconclusive"
