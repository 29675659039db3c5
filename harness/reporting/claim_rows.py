"""Group the claims of a scorecard by paper and section, each with all that its place on the page shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from harness.judging.claim import Pair
from harness.judging.controls import Expected
from harness.judging.record import Record
from harness.judging.verdict import Standing, Verdict
from harness.reporting import forest
from harness.reporting.deviations import PAPER as DEVIATIONS
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import MISSING, limit, number, paper, section


class Cell(NamedTuple):
    """One claim on one subject: its record, or what is known without one.

    Attributes:
        subject: The subject's name.
        role: The verdict, "missing", or "" if the claim was not asked of the subject.
        record: The record, if there is one.
        change: How the verdict differs from the baseline's; "" if it does not.
    """

    subject: str
    role: str
    record: Record | None
    change: str


class Claim(NamedTuple):
    """One claim as a row of the page.

    Attributes:
        id: Its id.
        statement: What it says.
        source: Where the paper says it.
        thresholds: (threshold, its origin, subjects); no subjects mean all of them.
        refuted_by: What would refute it, in words.
        holds_on: Controls on which it must be supported.
        fails_on: Controls on which it must be refuted, each with the reason.
        cells: One for each subject of the scorecard.
        plot: Estimates of all subjects on one axis.
        measured: Numbers of the measurements that its records rest on, see `harness.reporting.page`.
        command: What is typed to judge it again.
    """

    id: str
    statement: str
    source: str
    thresholds: list[tuple[str, str, list[str]]]
    refuted_by: str
    holds_on: list[str]
    fails_on: list[tuple[str, str]]
    cells: list[Cell]
    plot: forest.Plot
    measured: list[int]
    command: str

    @property
    def records(self) -> list[Record]:
        """The records, in the order of the subjects."""
        return [cell.record for cell in self.cells if cell.record is not None]


class Part(NamedTuple):
    """The claims of one section of one paper; `name` is an id without its last part."""

    name: str
    title: str
    claims: list[Claim]


def group_claims(
    card: Scorecard,
    standings: Mapping[Pair, Standing],
    expected: Mapping[Pair, Expected],
    measured: Mapping[Pair, int],
) -> list[Part]:
    """Group claims by paper and section, in the paper's order; deviations of its reproduction come last.

    Args:
        card: The scorecard.
        standings: Each record read against its baseline.
        expected: What the claims must give on controls.
        measured: Numbers of measurements by (subject, key).
    """
    records = card.by_pair
    found = [
        _gather(claim, card, [_fill_cell(claim, s, card, records, standings) for s in card.subjects],
                expected, measured)
        for claim in sort_claims(card.claims)
    ]  # fmt: skip
    return [
        Part(name, title_section(name, claims), claims)
        for name, of in groupby(found, lambda c: section(c.id))
        if (claims := list(of))
    ]


def sort_claims(claims: Iterable[str]) -> list[str]:
    """Sort ids by paper, what asks about deviations last, and by section; within one they stay as they are."""
    ids = list(claims)
    papers = list(dict.fromkeys(paper(c) for c in ids))

    def place(claim: str) -> tuple[bool, int, list[tuple[int, int, str]]]:
        name = paper(claim)
        # Numbers are compared as numbers, so that section 3.10 comes after 3.9, and appendices come last.
        parts = [
            (0, int(p), "") if p.isdigit() else (1, 0, p) for p in section(claim).split(".")[1:]
        ]
        return name == DEVIATIONS, papers.index(name), parts

    return sorted(ids, key=place)


def title_section(name: str, claims: Sequence[Claim]) -> str:
    """Spell the title of a section: "Assouel et al. 2026, section 3.3", by the source that its claims name."""
    own, _, place = name.partition(".")
    sources = {c.source.partition(",")[0] for c in claims if c.source}
    about = sources.pop() if len(sources) == 1 else own.replace("_", " ")
    if own == DEVIATIONS:
        return f"Deviations of the reproduction: {place.replace('_', ' ')}"
    if place[:1].isdigit():
        return f"{about}, section {place}"
    if len(place) == 1:
        return f"{about}, appendix {place.upper()}"
    return f"{about}, {place.replace('_', ' ')}" if place else about


def _fill_cell(
    claim: str,
    subject: str,
    card: Scorecard,
    records: Mapping[Pair, Record],
    standings: Mapping[Pair, Standing],
) -> Cell:
    pair = claim, subject
    record = records.get(pair)
    if record is None:
        return Cell(subject, MISSING if pair in card.missing else "", None, "")
    change = standings[pair].change
    return Cell(subject, str(record.verdict), record, "" if change == "same" else change)


def _gather(
    claim: str,
    card: Scorecard,
    cells: list[Cell],
    expected: Mapping[Pair, Expected],
    measured: Mapping[Pair, int],
) -> Claim:
    records = [cell.record for cell in cells if cell.record is not None]
    said: dict[tuple[str, str], list[str]] = {}
    for record in records:
        said.setdefault((limit(record), record.threshold_origin), []).append(record.subject)
    known = {control: cell for (of, control), cell in expected.items() if of == claim}
    behind = (measured.get((r.subject, r.measurement)) for r in records if r.measurement)
    return Claim(
        claim,
        records[0].statement if records else claim,
        records[0].source if records else "",
        [(*key, subjects if len(said) > 1 else []) for key, subjects in said.items()],
        tell_refutation(records[0]) if records else "",
        [c for c, cell in known.items() if cell.verdict is Verdict.supported],
        [(c, cell.reason) for c, cell in known.items() if cell.verdict is Verdict.refuted],
        cells,
        forest.lay_out_plot(records),
        list(dict.fromkeys(n for n in behind if n is not None)),
        _spell_command(claim, card, records),
    )


def tell_refutation(record: Record) -> str:
    """What would refute the claim of a record, in words."""
    side = "at or below" if record.direction == "above" else "at or above"
    return f"a whole 95% interval {side} {number(record.threshold)} {record.unit}, or nothing there to measure"


def _spell_command(claim: str, card: Scorecard, records: Sequence[Record]) -> str:
    """The command that judges a claim again on its subjects; nothing is measured twice."""
    run = card.run
    asked = [option for r in records for option in ("--subject", r.subject)]
    asked += ["--seed", str(run.seed)] if run.seed else []
    asked += ["--trials", str(run.trials)] if run.trials is not None else []
    return shlex.join(["pytest", "claims", "-k", claim, *asked])
