"""Print the verdicts of a scorecard as a table for a terminal, with what its words and marks mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.judging.verdict import Standing, Verdict
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import (
    MEANINGS,
    MISSING,
    NAME,
    WORDS,
    clip,
    count_verdicts,
    one_line,
    section,
    short_name,
    wrap_lines,
)

Paint = Callable[[str, str], str]
"""Colors a text by its role (a verdict, "missing", "title", "quiet") without changing its width."""

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
"""Marks behind a verdict, by how it differs from the baseline's."""

_MARK_MEANINGS = {
    "=": "as in the baseline",
    "+": "improved",
    "!": "regressed",
    "~": "changed, and not supported before either",
    "*": "not in the baseline",
    "x": "not what this control must give",
}


class Shape(NamedTuple):
    """Widths in characters of the column of claims and of each subject's column, and how many subjects fit."""

    label: int
    column: int
    fit: int

    @property
    def words(self) -> Mapping[str, str]:
        """The words for verdicts: long ones if they fit a column with a mark and a space, else short ones."""
        return WORDS if self.column >= max(map(len, WORDS.values())) + 2 else _NARROW


def choose_shape(card: Scorecard, width: int) -> Shape:
    """Choose the columns of a scorecard's table; as many subjects stand side by side as fit the width."""
    label = min(max((len(short_name(c)) for c in card.claims), default=0) + 2, 30)
    narrowest = max(map(len, _NARROW.values())) + 2
    fit = max(1, min((width - label) // narrowest, len(card.subjects)))
    wanted = max([14, *(len(clip(s, NAME)) + 1 for s in card.subjects)])
    return Shape(label, min((width - label) // fit, wanted), fit)


def table(
    card: Scorecard,
    standings: Mapping[Pair, Standing],
    subjects: Sequence[str],
    shape: Shape,
    paint: Paint,
) -> Iterator[str]:
    """Lines of the table: one for each claim, under its section, with one column for each subject given."""
    names = [_break_name(clip(s, NAME), shape.column - 1) for s in subjects]
    height = max(map(len, names))
    for row in range(height):
        # Names are aligned to the bottom, so that a short one stands right above its column.
        cells = [n[row - height + len(n)] if row >= height - len(n) else "" for n in names]
        yield (" " * shape.label + "".join(" " + c.ljust(shape.column - 1) for c in cells)).rstrip()
    records = card.by_pair
    for name, claims in groupby(card.claims, section):
        yield paint(_cut(one_line(name), shape.label + shape.column * shape.fit), "title")
        for claim in claims:
            line = _cut("  " + one_line(short_name(claim)), shape.label).ljust(shape.label)
            for subject in subjects:
                pair = (claim, subject)
                role = _find_role(records.get(pair), pair in card.missing)
                mark = MARKS[standings[pair].change] if pair in standings else ""
                word = shape.words.get(role, "") + mark
                rest = " " * (shape.column - 1 - len(word))
                line += " " + (paint(word, role) if word else "") + rest
            yield line.rstrip()


def _find_role(record: Record | None, missing: bool) -> str:
    """The verdict of a cell, "missing", or "" if the claim was not asked of the subject."""
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
    """Lines on how often each verdict occurs, what it means, and what the marks beside verdicts mean."""
    verdicts = [str(r.verdict) for r in card.records] + [MISSING] * len(card.missing)
    for verdict, count in count_verdicts(verdicts).items():
        also = f"{WORDS[verdict]}: " if words[verdict] != WORDS[verdict] else ""
        word = f"{count:4d} {words[verdict]}"
        rest = wrap_lines(also + MEANINGS[verdict], width - 19)
        yield paint(word, verdict) + " " * (19 - len(word)) + rest[0]
        yield from (" " * 19 + line for line in rest[1:])
    marks = {MARKS[r.change] for r in standings.values() if r.change}
    if marks:
        told = ", ".join(f"{m} {meaning}" for m, meaning in _MARK_MEANINGS.items() if m in marks)
        yield from wrap_lines(f"Against the baseline: {told}.", width)


def counts(card: Scorecard, width: int, paint: Paint) -> Iterator[str]:
    """Lines with the number of verdicts of each kind: over all, and for each subject if there are several."""
    yield from wrap_lines(_count_verdicts(card, card.subjects), width)
    if len(card.subjects) > 1:
        column = max(len(clip(s, NAME)) for s in card.subjects) + 2
        for subject in card.subjects:
            said = _count_verdicts(card, [subject])
            first, *rest = wrap_lines(said, max(width - column - 2, 30))
            yield paint("  " + clip(subject, NAME).ljust(column), "quiet") + first
            yield from (" " * (column + 2) + line for line in rest)


def sections(
    card: Scorecard, standings: Mapping[Pair, Standing], width: int, paint: Paint
) -> Iterator[str]:
    """One line for each section of a paper: how many verdicts of each kind it has, and how many differ."""
    names = [clip(name, NAME) for name, _ in groupby(card.claims, section)]
    column = min(max(map(len, names), default=0) + 2, width // 2)
    for name, (_, claims) in zip(names, groupby(card.claims, section), strict=True):
        chosen = set(claims)
        verdicts = [str(r.verdict) for r in card.records if r.claim in chosen]
        verdicts += [MISSING for claim, _ in card.missing if claim in chosen]
        differ = sum(
            standing.change not in ("", "same")
            for (claim, _), standing in standings.items()
            if claim in chosen
        )
        said = _spell_counts(verdicts) + (f"; {differ} differ" if differ else "")
        first, *rest = wrap_lines(said, max(width - column - 2, 30))
        yield paint("  " + _cut(name, column - 1).ljust(column), "quiet") + first
        yield from (" " * (column + 2) + line for line in rest)


def _count_verdicts(card: Scorecard, subjects: Sequence[str]) -> str:
    verdicts = [str(r.verdict) for r in card.records if r.subject in subjects]
    return _spell_counts(verdicts + [MISSING for _, subject in card.missing if subject in subjects])


def _spell_counts(verdicts: Sequence[str]) -> str:
    counted = count_verdicts(verdicts).items()
    return ", ".join(f"{n} {WORDS[verdict]}" for verdict, n in counted) or "none"


def _break_name(name: str, column: int) -> list[str]:
    """Break a subject's name into lines that fit its column, after hyphens where possible."""
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
