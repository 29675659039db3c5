"""Choose the few verdicts of a run that are worth reading when none differs from what was expected.

At most two supported and three refuted claims are chosen, at most one of each section. Claims that the planted
control must support and the most other controls must refute (`fixtures/controls.toml`) come first, since they
tell a model that has the mechanism from one that has not; then a paper's own claims before those on its
reproduction; then the order of the paper. The order of execution does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.judging import controls
from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.scorecard import Scorecard
from harness.reporting.table import Paint
from harness.reporting.wording import WORDS, clip, limit, measured, paper, section, wrap_lines

SUPPORTED, REFUTED = 2, 3
"""How many claims are chosen at most, by verdict."""

REPRODUCTION = "reproduction"
"""The first part of ids of claims about deviations from a paper, which say little to a newcomer."""

NAMED = 3
"""How many subjects with the same verdict on a claim are named."""

TELLING = "Worth reading, since these tell a model with the mechanism from controls without it:"


def tell_highlights(card: Scorecard, width: int, paint: Paint) -> Iterator[str]:
    """Lines on the chosen claims: each in words, with the estimate and the interval of every subject."""
    telling = {claim: _count_refuting(claim, controls.read_expected()) for claim in card.claims}
    chosen = choose(card, telling)
    if not chosen:
        return
    title = TELLING if all(telling[claim] for claim in chosen) else "Worth reading:"
    yield from ("", *(paint(line, "title") for line in wrap_lines(title, width)))
    for claim in chosen:
        records = [r for r in card.records if r.claim == claim]
        yield ""
        yield from wrap_lines(clip(records[0].statement), width, "  ")
        for verdict in (Verdict.supported, Verdict.refuted):
            alike = [r for r in records if r.verdict is verdict and r.estimate is not None]
            if alike:
                first, *rest = wrap_lines(_tell_numbers(alike), width - 16)
                word = WORDS[verdict]
                yield "    " + paint(word, verdict) + " " * (12 - len(word)) + first
                yield from (" " * 16 + line for line in rest)
        yield from (
            paint(line, "quiet")
            for line in wrap_lines(_tell_threshold(records[0]), width, " " * 16)
        )


def choose(card: Scorecard, telling: Mapping[str, int]) -> list[str]:
    """Choose the claims to tell; their ids, in the order of the scorecard.

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


def _count_refuting(claim: str, expected: Mapping[Pair, controls.Expected]) -> int:
    """How many controls must refute the claim; 0 if the planted control need not support it."""
    cells = {control: cell.verdict for (of, control), cell in expected.items() if of == claim}
    if cells.get("planted") is not Verdict.supported:
        return 0
    return sum(verdict is Verdict.refuted for verdict in cells.values())


def _tell_numbers(records: Sequence[Record]) -> str:
    told = [f"{r.subject} {measured(r)}" for r in records[:NAMED]]
    told += [f"{len(records) - NAMED} more"] if records[NAMED:] else []
    return clip(f"{', '.join(told)} {records[0].unit}")


def _tell_threshold(record: Record) -> str:
    return clip(f"claimed {limit(record)} ({record.claim})")
