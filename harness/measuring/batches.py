"""How many trials go through a subject at once: fixed numbers, and half of them where memory was too short.

They are fixed because on some devices the size of a batch changes the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Batches:
    """The batches of one try at a measurement.

    Attributes:
        divisor: What the usual numbers are divided by.
        rows: The most rows that were asked for at once; 0 before any were.
    """

    divisor: int = 1
    rows: int = 0


_CURRENT: ContextVar[Batches | None] = ContextVar("batches", default=None)


@contextmanager
def divided_by(divisor: int) -> Iterator[Batches]:
    """Make batches smaller meanwhile, and find out how large they were."""
    batches = Batches(divisor)
    token = _CURRENT.set(batches)
    try:
        yield batches
    finally:
        _CURRENT.reset(token)


def at_most(rows: int) -> int:
    """The rows that may be run at once where usually `rows` are; at least one."""
    batches = _CURRENT.get()
    if batches is None:
        return rows
    allowed = max(1, rows // batches.divisor)
    batches.rows = max(batches.rows, allowed)
    return allowed


def parts(count: int, rows: int) -> Iterator[slice]:
    """Slices of `count` trials, as many in each as may be run at once."""
    size = at_most(rows)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
