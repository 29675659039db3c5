"""Which few verdicts of a run are worth reading when none of them differs from what was expected.

The rule, which knows nothing of the order of execution: first claims that the planted control must support and
most others must refute (`fixtures/controls.toml`), since they tell a model that has the mechanism from one that
has not; a paper's own claims before those on its reproduction; then in the order of the paper; one claim of a
section; two that are supported and three that are refuted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.judging import controls
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.scorecard import Pair, Scorecard
from harness.reporting.table import Paint
from harness.reporting.wording import WORDS, limit, measured, one_line, paper, section, wrapped

SUPPORTED, REFUTED = 2, 3
REPRODUCTION = "reproduction"
"""Claims about deviations from a paper, which say less than the paper's own to who reads the first ones."""

NAMED = 3
"""Subjects with the same verdict on a claim that are named."""

TELLING = "Worth reading, since these tell a model with the mechanism from controls without it:"


def worth_reading(card: Scorecard, width: int, paint: Paint) -> Iterator[str]:
    """The chosen claims, each in words, with the estimate and the interval of every subject."""
    telling = {claim: _telling(claim, controls.expected()) for claim in card.claims}
    chosen = choose(card, telling)
    if not chosen:
        return
    title = TELLING if all(telling[claim] for claim in chosen) else "Worth reading:"
    yield from ("", *(paint(line, "title") for line in wrapped(title, width)))
    for claim in chosen:
        records = [r for r in card.records if r.claim == claim]
        yield ""
        yield from wrapped(one_line(records[0].statement), width, "  ")
        for verdict in (Verdict.supported, Verdict.refuted):
            alike = [r for r in records if r.verdict is verdict and r.estimate is not None]
            if alike:
                first, *rest = wrapped(_numbers(alike), width - 16)
                word = WORDS[verdict]
                yield "    " + paint(word, verdict) + " " * (12 - len(word)) + first
                yield from (" " * 16 + line for line in rest)
        yield from (paint(line, "quiet") for line in wrapped(_source(records[0]), width, " " * 16))


def choose(card: Scorecard, telling: Mapping[str, int]) -> list[str]:
    """Ids of the claims to tell, in the order of the scorecard.

    Args:
        card: The scorecard.
        telling: By claim, how many controls must refute what the planted one must support.
    """
    ranked = sorted(card.claims, key=lambda c: (-telling[c], paper(c) == REPRODUCTION))
    if any(telling.values()):
        ranked = [claim for claim in ranked if telling[claim]]
    chosen: dict[str, str] = {}
    for verdict, most in ((Verdict.supported, SUPPORTED), (Verdict.refuted, REFUTED)):
        judged = {r.claim for r in card.records if r.verdict is verdict and r.estimate is not None}
        for claim in [c for c in ranked if c in judged]:
            if most and section(claim) not in chosen:
                chosen[section(claim)] = claim
                most -= 1
    return [claim for claim in card.claims if claim in chosen.values()]


def _telling(claim: str, expected: Mapping[Pair, controls.Expected]) -> int:
    cells = {control: cell.verdict for (of, control), cell in expected.items() if of == claim}
    if cells.get("planted") is not Verdict.supported:
        return 0
    return sum(verdict is Verdict.refuted for verdict in cells.values())


def _numbers(records: Sequence[Record]) -> str:
    told = [f"{r.subject} {measured(r)}" for r in records[:NAMED]]
    told += [f"{len(records) - NAMED} more"] if records[NAMED:] else []
    return one_line(f"{', '.join(told)} {records[0].unit}")


def _source(record: Record) -> str:
    return one_line(f"claimed {limit(record)} ({record.claim})")
