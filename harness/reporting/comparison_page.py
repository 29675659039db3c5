"""Write a comparison of two runs as one HTML page: what was lost first, and what could not have been found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.machine.files import write_bytes
from harness.reporting import gate
from harness.reporting.fates import Comparison, Fate, Row, RowWithDifference
from harness.reporting.forest import LEFT, RIGHT, WIDTH, choose_axis
from harness.reporting.moved_text import stages_to_rows
from harness.reporting.page import list_names, render
from harness.statistics.evidence import Evidence

ORDER = (Fate.regressed, Fate.missing, Fate.new, Fate.accepted, Fate.improved, Fate.unchanged)
"""What became of claims, the worst first."""

MOST = 5
"""Scenes that are named of those on which most was lost."""


class Scenes(NamedTuple):
    """How the values of the same scenes differ between two runs.

    Attributes:
        lower: Scenes whose mean value fell.
        same: Scenes whose mean value did not change.
        higher: Scenes whose mean value rose.
        lowest: Names of the scenes that fell most, with by how much.
    """

    lower: int
    same: int
    higher: int
    lowest: list[tuple[str, float]]


class Difference(NamedTuple):
    """The marks of a difference, as horizontal positions in SVG units.

    Attributes:
        zero: Where nothing changed.
        margin: Where a loss begins to count; None without a margin.
        estimate: The difference.
        low: The lower end of its interval.
        high: The upper end.
    """

    zero: float
    margin: float | None
    estimate: float
    low: float
    high: float


class Compared(NamedTuple):
    """One row of the page: what became of a claim, the marks of its difference, and its scenes."""

    row: Row
    facts: gate.RowFacts
    statement: str
    marks: Difference | None
    scenes: Scenes | None


def write(comparison: Comparison, path: str | Path) -> None:
    """Write the page of a comparison.

    Args:
        comparison: What to show.
        path: The file; one of that name is replaced.

    Raises:
        OSError: It cannot be written.
    """
    facts = gate.to_json(comparison)
    rows = [_gather(r, f, comparison) for r, f in zip(comparison.rows, facts["rows"], strict=True)]
    found = {fate: [r for r in rows if r.row.fate is fate] for fate in ORDER}
    page = render(
        "comparison.html.jinja",
        Path(),
        title=f"{list_names(comparison.after.card.subjects)} against {comparison.before.where}",
        comparison=comparison,
        facts=facts,
        end=gate.tell_end(comparison),
        method=gate.tell_method(comparison),
        groups={fate: of for fate, of in found.items() if of},
        fates=gate.MEANINGS,
        stages=stages_to_rows(comparison.stages),
        width=WIDTH,
    )
    write_bytes(path, page.encode())


def write_refusal(refusal: str, before: str, after: str, path: str | Path) -> None:
    """Write the page of a comparison that was refused, so that an older page is not taken for it.

    Args:
        refusal: Why.
        before: Name of the baseline.
        after: Name of the run.
        path: The file; one of that name is replaced.

    Raises:
        OSError: It cannot be written.
    """
    title = f"{after} cannot be compared with {before}"
    page = render("refusal.html.jinja", Path(), title=title, refusal=refusal)
    write_bytes(path, page.encode())


def _gather(row: Row, facts: gate.RowFacts, comparison: Comparison) -> Compared:
    record = row.after or row.before
    names = {row.after.subject: row.before.subject} if row.before and row.after else {}
    before = comparison.before.evidence.get((row.claim, names.get(row.subject, row.subject)))
    after = comparison.after.evidence.get((row.claim, row.subject))
    scenes = compare_scenes(before, after) if before and after else None
    statement = record.statement if record else row.claim
    return Compared(row, facts, statement, lay_out_difference(row), scenes)


def lay_out_difference(row: Row) -> Difference | None:
    """Where the marks of a difference go on an axis of its own; None without a difference."""
    if not isinstance(row, RowWithDifference) or row.difference.value is None:
        return None
    low, high = row.difference.interval(0.95)
    marks = [0.0, row.difference.value, low, high]
    margin = None
    if row.margin > 0:
        margin = -row.margin if row.after.direction == "above" else row.margin
        marks.append(margin)
    if not np.isfinite(marks).all():
        return None
    start, end, _ = choose_axis(min(marks), max(marks))

    def place(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (value - start) / (end - start), 1)

    return Difference(
        place(0.0),
        None if margin is None else place(margin),
        place(row.difference.value),
        place(low),
        place(high),
    )


def compare_scenes(before: Evidence, after: Evidence) -> Scenes | None:
    """Compare the mean values of the scenes that two runs share; None where there are only bootstrap draws."""
    if before.scenes is None or after.scenes is None:
        return None
    one, other = (_average(e.values, e.item_scenes) for e in (before, after))
    moved = {scene: other[scene] - one[scene] for scene in one if scene in other}
    if not moved:
        return None
    fell = sorted((m, scene) for scene, m in moved.items() if m < 0)
    return Scenes(
        len(fell),
        sum(m == 0 for m in moved.values()),
        sum(m > 0 for m in moved.values()),
        [(scene, m) for m, scene in fell[:MOST]],
    )


def _average(values: np.ndarray, scenes: Sequence[str]) -> dict[str, float]:
    """The mean value of each scene."""
    labels, places = np.unique(scenes, return_inverse=True)
    sums = np.bincount(places, values, len(labels)) / np.bincount(places, minlength=len(labels))
    return dict(zip(labels.tolist(), sums.tolist(), strict=True))
