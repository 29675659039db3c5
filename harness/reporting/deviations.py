"""Which deviation of the public reproduction explains which discrepancy: a table of the claims that ask it."""

from __future__ import annotations

from typing import NamedTuple

from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.scorecard import Scorecard

PAPER = "reproduction"

WORDS = {
    Verdict.supported: "explains it",
    Verdict.refuted: "does not",
    Verdict.inconclusive: "unclear",
    Verdict.not_applicable: "nothing to explain",
    Verdict.blocked: "blocked",
    Verdict.not_run: "not run",
    Verdict.error: "ERROR",
}


class Deviation(NamedTuple):
    """One row: what was done otherwise, what it could explain, and what came of it for each subject."""

    discrepancy: str
    deviation: str
    statement: str
    claim: str
    records: dict[str, Record]


def table(card: Scorecard) -> list[Deviation]:
    """All deviations that were asked, by discrepancy and then by number; empty if none was."""
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


def to_json(card: Scorecard) -> list[dict]:
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
