"""Lay out the interval plot of one claim: where each subject's marks go on one axis, in SVG units.

Each subject has a row of its own, drawn apart, so that the rows of a table can hold them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judging.record import Record

WIDTH = 320
LEFT, RIGHT = 14, 306
"""Ends of the axis in SVG units."""


@dataclass(frozen=True)
class Row:
    """The marks of one subject, as horizontal positions in SVG units; None where there is nothing to mark.

    Attributes:
        subject: Its name.
        threshold: The threshold that holds for it.
        shade_from: Where the claimed side begins.
        shade_width: How wide the claimed side is.
        estimate: The estimate.
        low: The lower end of its interval.
        high: The upper end.
        published: The paper's value.
    """

    subject: str
    threshold: float
    shade_from: float
    shade_width: float
    estimate: float | None
    low: float | None
    high: float | None
    published: float | None


@dataclass(frozen=True)
class Plot:
    """The rows of one claim by subject, and the ticks of their axis as (position, label)."""

    rows: dict[str, Row]
    ticks: tuple[tuple[float, str], ...]


def lay_out_plot(records: Sequence[Record]) -> Plot:
    """Lay out the plot of one claim.

    Args:
        records: Of one claim, one for each subject; none make an empty plot.
    """
    marks = [
        value
        for r in records
        for value in (r.threshold, r.estimate, r.ci_low, r.ci_high, r.published)
        if value is not None
    ]
    if not marks:
        return Plot({}, ())
    low, high, ticks = choose_axis(min(marks), max(marks))

    def place(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (value - low) / (high - low), 1)

    def place_if_known(value: float | None) -> float | None:
        return None if value is None else place(value)

    rows = {}
    for record in records:
        at = place(record.threshold)
        start, end = (at, RIGHT) if record.direction == "above" else (LEFT, at)
        rows[record.subject] = Row(
            subject=record.subject,
            threshold=at,
            shade_from=start,
            shade_width=round(end - start, 1),
            estimate=place_if_known(record.estimate),
            low=place_if_known(record.ci_low),
            high=place_if_known(record.ci_high),
            published=place_if_known(record.published),
        )
    return Plot(rows, tuple((place(tick), f"{tick + 0.0:g}") for tick in ticks))


def choose_axis(low: float, high: float) -> tuple[float, float, list[float]]:
    """Choose the ends of an axis that leaves room around [low, high], and round numbers to mark on it.

    Returns:
        Low end, high end, and three to eight ticks between them.
    """
    margin = 0.06 * (high - low) or max(abs(high) * 0.5, 0.5)
    low, high = low - margin, high + margin
    # The round step is at most 2.5 times the rough one, so that at least three ticks fit.
    rough = (high - low) / 7.5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    first = math.ceil(low / step)
    # In floating point 3 * 0.1 is 0.30000000000000004.
    digits = max(0, 1 - math.floor(math.log10(step)))
    return low, high, [round(i * step, digits) for i in range(first, math.floor(high / step) + 1)]
