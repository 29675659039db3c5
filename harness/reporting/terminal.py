"""A scorecard as text: a table of verdicts, what they mean, and what differs from the baseline."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from harness.judging.record import Record
from harness.judging.sequential import AUTO
from harness.judging.verdict import Reading, Verdict
from harness.reporting.scorecard import Pair, Scorecard
from harness.reporting.wording import (
    MEANINGS,
    MISSING,
    WORDS,
    counted,
    limit,
    measured,
    number,
    one_line,
    sample,
    section,
    short_name,
    tally,
)

Paint = Callable[[str, str], str]
"""From text and its role (a verdict, "missing", "title", "quiet") to the same text, coloured."""

_NARROW = {**WORDS, Verdict.supported: "holds", Verdict.inconclusive: "unclear"}
"""Words of at most seven letters, for tables of many subjects."""

_MARKS = {
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


def render(
    scorecard: Scorecard,
    baseline: Mapping[Pair, Record] | None = None,
    width: int = 100,
    paint: Paint = lambda text, role: text,
) -> list[str]:
    """The lines to print.

    Verdicts are read against the baseline verdict that each record carries; `baseline` adds the
    earlier numbers, and names claims that the baseline has and this run did not collect.

    Args:
        scorecard: What to show.
        baseline: Earlier records by (claim, subject), under this run's names of subjects.
        width: Columns of the terminal; tables of more subjects than fit are split.
        paint: Colours text without changing its width; no colour by default.

    Returns:
        Lines without line breaks at their ends.
    """
    width = max(width, 48)
    readings = scorecard.readings()
    shape = _shape(scorecard, width)
    lines = [paint(line, "title") for line in _wrap(_title(scorecard), width)]
    for start in range(0, len(scorecard.subjects), shape.fit):
        subjects = scorecard.subjects[start : start + shape.fit]
        lines += ["", *_table(scorecard, readings, subjects, shape, paint)]
    lines += ["", *_legend(scorecard, readings, shape.words, width, paint)]
    lines += _findings(scorecard, readings, baseline or {}, width, paint)
    lines += ["", *(paint(line, "quiet") for line in _wrap(_method(scorecard), width))]
    lines += _absent(scorecard, baseline or {}, width, paint)
    return lines


def _title(card: Scorecard) -> str:
    run = card.run
    where = ", ".join(fact for fact in (run.device, run.dtype) if fact) or "no device"
    judged = counted(len(card.records), "verdict")
    claims, subjects = counted(len(card.claims), "claim"), counted(len(card.subjects), "subject")
    partial = "PARTIAL RUN: " if run.partial else ""
    return one_line(
        f"{partial}{judged} on {claims} and {subjects}; harness {run.harness}, {where}, "
        f"seed {run.seed}, claims {run.claims_hash[:8]}"
    )


class _Shape(NamedTuple):
    """Columns of the table: for names of claims, for each subject, how many side by side."""

    label: int
    column: int
    fit: int

    @property
    def words(self) -> Mapping[str, str]:
        """The long words where they fit with a mark and a space."""
        return WORDS if self.column >= max(map(len, WORDS.values())) + 2 else _NARROW


def _shape(card: Scorecard, width: int) -> _Shape:
    label = min(max((len(short_name(c)) for c in card.claims), default=0) + 2, 30)
    narrowest = max(map(len, _NARROW.values())) + 2
    fit = max(1, min((width - label) // narrowest, len(card.subjects)))
    wanted = max([14, *(len(one_line(s)) + 1 for s in card.subjects)])
    return _Shape(label, min((width - label) // fit, wanted), fit)


def _table(
    card: Scorecard,
    readings: Mapping[Pair, Reading],
    subjects: Sequence[str],
    shape: _Shape,
    paint: Paint,
) -> Iterator[str]:
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
                mark = _MARKS[readings[pair].change] if pair in readings else ""
                word = shape.words.get(role, "") + mark
                rest = " " * (shape.column - 1 - len(word))
                line += " " + (paint(word, role) if word else "") + rest
            yield line.rstrip()


def _role(record: Record | None, missing: bool) -> str:
    if record is not None:
        return str(record.verdict)
    return MISSING if missing else ""


def _legend(
    card: Scorecard,
    readings: Mapping[Pair, Reading],
    words: Mapping[str, str],
    width: int,
    paint: Paint,
) -> Iterator[str]:
    verdicts = [str(r.verdict) for r in card.records] + [MISSING] * len(card.missing)
    for verdict, count in tally(verdicts).items():
        also = f"{WORDS[verdict]}: " if words[verdict] != WORDS[verdict] else ""
        word = f"{count:4d} {words[verdict]}"
        rest = _wrap(also + MEANINGS[verdict], width - 19)
        yield paint(word, verdict) + " " * (19 - len(word)) + rest[0]
        yield from (" " * 19 + line for line in rest[1:])
    marks = {_MARKS[r.change] for r in readings.values() if r.change}
    if marks:
        told = ", ".join(f"{m} {meaning}" for m, meaning in _MARK_MEANINGS.items() if m in marks)
        yield from _wrap(f"Against the baseline: {told}.", width)


def _findings(
    card: Scorecard,
    readings: Mapping[Pair, Reading],
    baseline: Mapping[Pair, Record],
    width: int,
    paint: Paint,
) -> Iterator[str]:
    compared = any(r.change for r in readings.values())
    chosen = [r for r in card.records if _worth_telling(r, readings[r.claim, r.subject])]
    if not chosen:
        if compared or not card.missing:
            yield ""
            agreed = "Every claim is supported." if card.records else "No claim was judged."
            same = "Nothing differs from the baseline."
            if all(r.control for r in card.records):
                same = "Every control gives what it must."
            yield same if compared else agreed
        return
    yield ""
    title = "Differs from the baseline" if compared else "Not supported"
    if compared and any(not r.change for r in readings.values()):
        title += ", or is not supported where there is no baseline"
    yield paint(title, "title")
    for subject in card.subjects:
        told = [r for r in chosen if r.subject == subject]
        if told:
            yield ""
            yield from (paint(line, "title") for line in _wrap(one_line(subject), width))
        for record in told:
            pair = (record.claim, record.subject)
            yield from _head(record, readings[pair].change, baseline.get(pair), width, paint)
            yield from _wrap(_evidence(record, card.p_adjusted.get(pair)), width, " " * 16)
            if _numbers_of(record) not in record.reason:
                yield from _wrap(one_line(record.reason), width, " " * 16)


def _head(
    record: Record, change: str, earlier: Record | None, width: int, paint: Paint
) -> Iterator[str]:
    word = WORDS[record.verdict]
    was = f"was {WORDS[Verdict(record.baseline)]}" if record.baseline else change
    if was and earlier is not None:
        was += f" at {measured(earlier)}"
    rest = _wrap(one_line(f"{record.claim}  {was and f'({was})'}"), width - 16)
    yield "  " + paint(word, record.verdict) + " " * (14 - len(word)) + rest[0]
    yield from (" " * 16 + line for line in rest[1:])


def _worth_telling(record: Record, reading: Reading) -> bool:
    if record.verdict is Verdict.error:
        return True
    if reading.change in ("", "new"):
        return record.verdict is not Verdict.supported
    return reading.change != "same"


def _numbers_of(record: Record) -> str:
    return f"{measured(record)} {record.unit}"


def _evidence(record: Record, adjusted: float | None) -> str:
    # A reason that has the numbers in it says the verdict too: no need for both.
    told = _numbers_of(record) in record.reason
    said = record.reason if told else f"{_numbers_of(record)}, claimed {limit(record)}"
    if record.estimate is None:
        said = f"no estimate, claimed {limit(record)}"
    # The note behind the colon is for the page, where there is room.
    origin = record.threshold_origin.partition(":")[0] or "threshold of unknown origin"
    parts = [f"{said} ({origin})"]
    if record.published is not None:
        parts.append(f"published {number(record.published)}")
    if record.n:
        parts.append(sample(record))
    if adjusted is not None and not told:
        parts.append(f"adjusted p {adjusted:.2g}")
    return one_line("; ".join(parts))


def _method(card: Scorecard) -> str:
    methods = dict.fromkeys(r.method for r in card.records if r.method not in ("", "none"))
    made = f" ({'; '.join(methods)})" if methods else ""
    looks = ", at early looks 99.6 or 99.4%" if card.run.trials == AUTO else ""
    return one_line(f"Intervals: 95%{looks}, clustered by scene{made}. {card.correction}")


def _absent(
    card: Scorecard, baseline: Mapping[Pair, Record], width: int, paint: Paint
) -> Iterator[str]:
    judged = {*card.by_pair, *card.missing}
    for subject in card.subjects:
        unasked = [c for c, name in baseline if name == subject and (c, name) not in judged]
        if unasked:
            # A run of a few chosen claims leaves most of them out, and need not be told which.
            names = f": {', '.join(unasked)}" if len(unasked) <= 3 else ""
            told = f"{counted(len(unasked), 'claim')}{names}"
            told = one_line(f"In the baseline of {subject} but not in this run: {told}")
            yield from _wrap(told, width)
    if card.missing:
        yield ""
        title = f"MISSING: {counted(len(card.missing), 'claim')} collected without a verdict"
        yield paint(title, MISSING)
        for claim, subject in card.missing:
            lines = _wrap(one_line(f"{subject}  {claim}"), width, "  ")
            yield from (paint(line, MISSING) for line in lines)


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


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
