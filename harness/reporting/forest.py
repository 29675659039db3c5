"""Lay out the page's interval plots: where each mark of a claim and subject goes, in SVG units.

One plot per unit, since only estimates in the same unit can share an axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.judging.record import Record
from harness.reporting.wording import WORDS, limit, measured, one_line

WIDTH = 960
LEFT, RIGHT = 168, 628
"""Ends of the axis in SVG units; names stand to its left, numbers and verdicts to its right."""

_HEAD, _ROW, _SPACE, _AXIS = 26, 22, 12, 34


@dataclass(frozen=True)
class Row:
    """The line of one subject under its claim, in SVG units.

    `estimate`, `low`, `high` and `published` are horizontal positions, None where there is nothing to mark.
    """

    subject: str
    verdict: str
    word: str
    numbers: str
    y: float
    threshold: float
    shade_from: float
    shade_width: float
    estimate: float | None
    low: float | None
    high: float | None
    published: float | None


@dataclass(frozen=True)
class Group:
    """One claim with its subjects; `y` is the baseline of its heading."""

    claim: str
    statement: str
    limit: str
    y: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Plot:
    """All claims in one unit, in SVG units; `axis` is the height of the axis, ticks are (position, label)."""

    unit: str
    height: float
    axis: float
    groups: tuple[Group, ...]
    ticks: tuple[tuple[float, str], ...]


def lay_out_plots(records: Iterable[Record]) -> list[Plot]:
    """Lay out a plot for every unit, in the order in which units first occur.

    Args:
        records: What to plot; the records of one claim need not stand together.
    """
    by_unit: dict[str, list[Record]] = {}
    for record in records:
        by_unit.setdefault(record.unit, []).append(record)
    return [_plot(unit, members) for unit, members in by_unit.items()]


def _plot(unit: str, records: Sequence[Record]) -> Plot:
    marks = [
        value
        for r in records
        for value in (r.threshold, r.estimate, r.ci_low, r.ci_high, r.published)
        if value is not None
    ]
    low, high, ticks = choose_axis(min(marks), max(marks))

    def place(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (value - low) / (high - low), 1)

    def place_if_known(value: float | None) -> float | None:
        return None if value is None else place(value)

    by_claim: dict[str, list[Record]] = {}
    for record in records:
        by_claim.setdefault(record.claim, []).append(record)
    y, groups = 0.0, []
    for claim, members in by_claim.items():
        y += _HEAD
        head, rows = y - 9, []
        for record in members:
            at = place(record.threshold)
            start, end = (at, RIGHT) if record.direction == "above" else (LEFT, at)
            rows.append(
                Row(
                    subject=one_line(record.subject),
                    verdict=str(record.verdict),
                    word=WORDS[record.verdict],
                    numbers=measured(record),
                    y=y + _ROW / 2,
                    threshold=at,
                    shade_from=start,
                    shade_width=round(end - start, 1),
                    estimate=place_if_known(record.estimate),
                    low=place_if_known(record.ci_low),
                    high=place_if_known(record.ci_high),
                    published=place_if_known(record.published),
                )
            )
            y += _ROW
        first = members[0]
        groups.append(Group(claim, one_line(first.statement), limit(first), head, tuple(rows)))
        y += _SPACE
    axis = y - _SPACE / 2
    placed = tuple((place(tick), f"{tick + 0.0:g}") for tick in ticks)
    return Plot(one_line(unit), axis + _AXIS, axis, tuple(groups), placed)


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
