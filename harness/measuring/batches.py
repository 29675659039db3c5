"""How many trials go through a subject at once: fixed numbers, which are halved where memory ran out.

The numbers are fixed because on some devices the size of a batch changes the last bits of results.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Batches:
    """The size of batches in one attempt at a measurement.

    Attributes:
        divisor: What the usual sizes are divided by.
        rows: The largest batch that was allowed so far, in rows; 0 before the first.
    """

    divisor: int = 1
    rows: int = 0


_CURRENT: ContextVar[Batches | None] = ContextVar("batches", default=None)


@contextmanager
def divide_batches(divisor: int) -> Iterator[Batches]:
    """Divide the usual batch sizes inside the block; what is yielded tells how large batches were.

    Inside another such block they are divided by both numbers.
    """
    outer = _CURRENT.get()
    batches = Batches(divisor * (outer.divisor if outer else 1))
    token = _CURRENT.set(batches)
    try:
        yield batches
    finally:
        _CURRENT.reset(token)


def limit_rows(rows: int) -> int:
    """How many rows may be run at once where usually `rows` are; at least one."""
    batches = _CURRENT.get()
    if batches is None:
        return rows
    allowed = max(1, rows // batches.divisor)
    batches.rows = max(batches.rows, allowed)
    return allowed


def cut_batches(count: int, rows: int) -> Iterator[slice]:
    """Cut `count` trials into slices of at most `rows`, fewer where memory ran out."""
    size = limit_rows(rows)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
