"""Tabulate which deviation of the public reproduction explains which discrepancy."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.scorecard import Scorecard

PAPER = "reproduction"
"""The first part of the ids of claims that ask about deviations."""

WORDS = {
    Verdict.supported: "explains it",
    Verdict.refuted: "does not",
    Verdict.inconclusive: "unclear",
    Verdict.not_applicable: "nothing to explain",
    Verdict.blocked: "blocked",
    Verdict.not_run: "not run",
    Verdict.error: "ERROR",
}
"""What a verdict says about a deviation."""


class Deviation(NamedTuple):
    """One row of the table.

    Attributes:
        discrepancy: What the deviation could explain.
        deviation: What the reproduction did otherwise than the paper.
        statement: The claim in words.
        claim: The claim's id.
        records: What came of it, by subject.
    """

    discrepancy: str
    deviation: str
    statement: str
    claim: str
    records: dict[str, Record]


class Explanation(TypedDict):
    """Whether a deviation explains a discrepancy on one subject, as plain values; numbers are in `unit`."""

    discrepancy: str
    deviation: str
    statement: str
    subject: str
    explains: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    unit: str


def table(card: Scorecard) -> list[Deviation]:
    """Tabulate the deviations that the run asked about, by discrepancy and then by number; empty if none."""
    rows: dict[str, Deviation] = {}
    for record in card.records:
        if record.claim.partition(".")[0] != PAPER:
            continue
        if record.claim not in rows:
            deviation, _, discrepancy = record.source.partition("; discrepancy: ")
            rows[record.claim] = Deviation(
                discrepancy, deviation.removesuffix(" of the reproduction"), record.statement,
                record.claim, {},
            )  # fmt: skip
        rows[record.claim].records[record.subject] = record
    return sorted(rows.values(), key=lambda row: (row.discrepancy, row.deviation))


def to_json(card: Scorecard) -> list[Explanation]:
    """The table as plain values: one entry per claim and subject."""
    return [
        {
            "discrepancy": row.discrepancy,
            "deviation": row.deviation,
            "statement": row.statement,
            "subject": subject,
            "explains": WORDS[record.verdict],
            "estimate": record.estimate,
            "ci_low": record.ci_low,
            "ci_high": record.ci_high,
            "unit": record.unit,
        }
        for row in table(card)
        for subject, record in row.records.items()
    ]
