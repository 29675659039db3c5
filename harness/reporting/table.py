"""The verdicts of a scorecard as a table for a terminal, and what its words and marks mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from harness.judging.record import Record
from harness.judging.verdict import Standing, Verdict
from harness.reporting.scorecard import Pair, Scorecard
from harness.reporting.wording import (
    MEANINGS,
    MISSING,
    WORDS,
    one_line,
    section,
    short_name,
    tally,
    wrapped,
)

Paint = Callable[[str, str], str]
"""From text and its role (a verdict, "missing", "title", "quiet") to the same text, colored."""

_NARROW = {**WORDS, Verdict.supported: "holds", Verdict.inconclusive: "unclear"}
"""Words of at most seven letters, for tables of many subjects."""

MARKS = {
    "": "",
    "same": "=",
    "improved": "+",
    "regressed": "!",
    "changed": "~",
    "new": "*",
    "wrong": "x",
}
_MARK_MEANINGS = {
    "=": "as in the baseline",
    "+": "improved",
    "!": "regressed",
    "~": "changed, and not supported before either",
    "*": "not in the baseline",
    "x": "not what this control must give",
}


class Shape(NamedTuple):
    """Columns of the table: for names of claims, for each subject, how many side by side."""

    label: int
    column: int
    fit: int

    @property
    def words(self) -> Mapping[str, str]:
        """The long words where they fit with a mark and a space."""
        return WORDS if self.column >= max(map(len, WORDS.values())) + 2 else _NARROW


def shape_of(card: Scorecard, width: int) -> Shape:
    """The columns that the scorecard's subjects need, as many as fit the width."""
    label = min(max((len(short_name(c)) for c in card.claims), default=0) + 2, 30)
    narrowest = max(map(len, _NARROW.values())) + 2
    fit = max(1, min((width - label) // narrowest, len(card.subjects)))
    wanted = max([14, *(len(one_line(s)) + 1 for s in card.subjects)])
    return Shape(label, min((width - label) // fit, wanted), fit)


def table(
    card: Scorecard,
    standings: Mapping[Pair, Standing],
    subjects: Sequence[str],
    shape: Shape,
    paint: Paint,
) -> Iterator[str]:
    """One row a claim, under its section; one column for each of these subjects."""
    names = [_stacked(one_line(s), shape.column - 1) for s in subjects]
    height = max(map(len, names))
    for row in range(height):
        # Names stand on the table, so that a short one is next to its column.
        cells = [n[row - height + len(n)] if row >= height - len(n) else "" for n in names]
        yield (" " * shape.label + "".join(" " + c.ljust(shape.column - 1) for c in cells)).rstrip()
    records = card.by_pair
    for name, claims in groupby(card.claims, section):
        yield paint(_cut(one_line(name), shape.label + shape.column * shape.fit), "title")
        for claim in claims:
            line = _cut("  " + one_line(short_name(claim)), shape.label).ljust(shape.label)
            for subject in subjects:
                pair = (claim, subject)
                role = _role(records.get(pair), pair in card.missing)
                mark = MARKS[standings[pair].change] if pair in standings else ""
                word = shape.words.get(role, "") + mark
                rest = " " * (shape.column - 1 - len(word))
                line += " " + (paint(word, role) if word else "") + rest
            yield line.rstrip()


def _role(record: Record | None, missing: bool) -> str:
    if record is not None:
        return str(record.verdict)
    return MISSING if missing else ""


def legend(
    card: Scorecard,
    standings: Mapping[Pair, Standing],
    words: Mapping[str, str],
    width: int,
    paint: Paint,
) -> Iterator[str]:
    """How often each verdict occurs and what it means, and the marks that compare it with the baseline."""
    verdicts = [str(r.verdict) for r in card.records] + [MISSING] * len(card.missing)
    for verdict, count in tally(verdicts).items():
        also = f"{WORDS[verdict]}: " if words[verdict] != WORDS[verdict] else ""
        word = f"{count:4d} {words[verdict]}"
        rest = wrapped(also + MEANINGS[verdict], width - 19)
        yield paint(word, verdict) + " " * (19 - len(word)) + rest[0]
        yield from (" " * 19 + line for line in rest[1:])
    marks = {MARKS[r.change] for r in standings.values() if r.change}
    if marks:
        told = ", ".join(f"{m} {meaning}" for m, meaning in _MARK_MEANINGS.items() if m in marks)
        yield from wrapped(f"Against the baseline: {told}.", width)


def counts(card: Scorecard, width: int, paint: Paint) -> Iterator[str]:
    """How many verdicts of each kind there are, in one line, and of each subject where there are several."""
    yield from wrapped(_counted(card, card.subjects), width)
    if len(card.subjects) > 1:
        column = max(len(one_line(s)) for s in card.subjects) + 2
        for subject in card.subjects:
            said = _counted(card, [subject])
            first, *rest = wrapped(said, max(width - column - 2, 30))
            yield paint("  " + one_line(subject).ljust(column), "quiet") + first
            yield from (" " * (column + 2) + line for line in rest)


def _counted(card: Scorecard, subjects: Sequence[str]) -> str:
    verdicts = [str(r.verdict) for r in card.records if r.subject in subjects]
    verdicts += [MISSING for _, subject in card.missing if subject in subjects]
    return ", ".join(f"{n} {WORDS[verdict]}" for verdict, n in tally(verdicts).items()) or "none"


def _stacked(name: str, column: int) -> list[str]:
    """A subject's name on as many lines as its column needs, after hyphens where possible."""
    lines = [""]
    for piece in name.replace("-", "-\0").split("\0"):
        while len(piece) > column:
            lines.append(piece[:column])
            piece = piece[column:]
        if len(lines[-1]) + len(piece) > column:
            lines.append("")
        lines[-1] += piece
    return [line for line in lines if line]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
