"""Tell which claims differ from the baseline or, without a baseline, which are not supported."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.judging.verdict import Outcome, Standing, Verdict
from harness.reporting.highlights import tell_highlights
from harness.reporting.scorecard import Scorecard
from harness.reporting.table import Paint
from harness.reporting.wording import (
    NAME,
    WORDS,
    clip,
    limit,
    measured,
    number,
    spell_count,
    spell_sample,
    wrap_lines,
)

FEW = 5
"""Most differences from the baseline that a short text tells; what fails the run is told without limit."""


def tell_findings(
    card: Scorecard,
    standings: Mapping[Pair, Standing],
    baseline: Mapping[Pair, Record],
    width: int,
    paint: Paint,
) -> Iterator[str]:
    """Lines on every claim that differs from its baseline and every unsupported claim that has none."""
    compared = any(r.change for r in standings.values())
    chosen = [r for r in card.records if _worth_telling(r, standings[r.claim, r.subject])]
    if not chosen:
        yield from _tell_nothing(card, compared)
        return
    title = "Differs from the baseline" if compared else "Not supported"
    if compared and any(not r.change for r in standings.values()):
        title += ", or is not supported where there is no baseline"
    yield from ("", paint(title, "title"))
    yield from _tell_each(card, chosen, standings, baseline, width, paint)


def tell_briefly(
    card: Scorecard,
    standings: Mapping[Pair, Standing],
    baseline: Mapping[Pair, Record],
    width: int,
    paint: Paint,
    told: Collection[Pair] = (),
    *,
    quiet: bool = False,
) -> Iterator[str]:
    """Lines on what fails the run, in full, and on a few other differences; if there are none, on a few claims.

    Args:
        card: The scorecard.
        standings: Each record read against its baseline.
        baseline: Earlier records by (claim, subject).
        width: Columns of the terminal.
        paint: Colors text.
        told: Claims and subjects whose failures were printed before.
        quiet: Whether to tell nothing where nothing differs from what was expected.
    """
    compared = any(r.change for r in standings.values())
    red: list[Record] = []
    above: list[Record] = []
    other: list[Record] = []
    for record in card.records:
        pair = (record.claim, record.subject)
        standing = standings[pair]
        if standing.outcome in (Outcome.failed, Outcome.error):
            # Without a baseline there is nothing to add to what pytest printed about a failure.
            (above if pair in told and standing.change in ("", "new") else red).append(record)
        elif standing.change not in ("", "same"):
            other.append(record)
    if above:
        said = (
            f"{len(above)} of {spell_count(len(card.records), 'verdict')} fail the run, for want of a baseline "
            "that expects them: each stands with its reason under FAILURES or ERRORS above."
        )
        yield from ("", *wrap_lines(said, width))
    if red or other:
        title = "Differs from the baseline" if compared else "Fails the run"
        yield from ("", paint(title, "title"))
        yield from _tell_each(card, red + other[:FEW], standings, baseline, width, paint)
        if other[FEW:]:
            yield from (
                "",
                f"{len(other) - FEW} more differ from the baseline, none of them for the worse.",
            )
        return
    if compared and not above:
        yield from _tell_nothing(card, compared)
    if not quiet:
        yield from tell_highlights(card, width, paint)


def _tell_nothing(card: Scorecard, compared: bool) -> Iterator[str]:
    if not compared and card.missing:
        return
    agreed = "Every claim is supported." if card.records else "No claim was judged."
    same = "Nothing differs from the baseline."
    if all(r.control for r in card.records):
        same = "Every control gives what it must."
    yield from ("", same if compared else agreed)


def _tell_each(
    card: Scorecard,
    chosen: Sequence[Record],
    standings: Mapping[Pair, Standing],
    baseline: Mapping[Pair, Record],
    width: int,
    paint: Paint,
) -> Iterator[str]:
    for subject in card.subjects:
        told = [r for r in chosen if r.subject == subject]
        if told:
            yield ""
            yield from (paint(line, "title") for line in wrap_lines(clip(subject, NAME), width))
        for record in told:
            pair = (record.claim, record.subject)
            yield from _tell_verdict(
                record, standings[pair].change, baseline.get(pair), width, paint
            )
            yield from wrap_lines(
                _tell_evidence(record, card.p_adjusted.get(pair)), width, " " * 16
            )
            if _numbers_of(record) not in record.reason:
                yield from wrap_lines(clip(record.reason), width, " " * 16)


def _tell_verdict(
    record: Record, change: str, earlier: Record | None, width: int, paint: Paint
) -> Iterator[str]:
    word = WORDS[record.verdict]
    was = f"was {WORDS[Verdict(record.baseline)]}" if record.baseline else change
    if was and earlier is not None:
        was += f" at {measured(earlier)}"
    rest = wrap_lines(clip(f"{record.claim}  {was and f'({was})'}"), width - 16)
    yield "  " + paint(word, record.verdict) + " " * (14 - len(word)) + rest[0]
    yield from (" " * 16 + line for line in rest[1:])


def _worth_telling(record: Record, standing: Standing) -> bool:
    if record.verdict is Verdict.error:
        return True
    if standing.change in ("", "new"):
        return record.verdict is not Verdict.supported
    return standing.change != "same"


def _numbers_of(record: Record) -> str:
    return f"{measured(record)} {record.unit}"


def _tell_evidence(record: Record, adjusted: float | None) -> str:
    # Many a reason holds the numbers already; they need not be printed twice.
    told = _numbers_of(record) in record.reason
    said = record.reason if told else f"{_numbers_of(record)}, claimed {limit(record)}"
    if record.estimate is None:
        said = f"no estimate, claimed {limit(record)}"
    # Only the page has room for the note behind the colon.
    origin = record.threshold_origin.partition(":")[0] or "threshold of unknown origin"
    parts = [f"{said} ({origin})"]
    if record.published is not None:
        parts.append(f"published {number(record.published)}")
    if record.n:
        parts.append(spell_sample(record))
    if adjusted is not None and not told:
        parts.append(f"adjusted p {adjusted:.2g}")
    return clip("; ".join(parts))
