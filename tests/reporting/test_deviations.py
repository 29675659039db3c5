"""The table of deviations is made of the claims that ask them, and of nothing else."""

from __future__ import annotations

from cards import card, record

from harness.judging.verdict import Verdict
from harness.reporting import deviations


def deviation(number, discrepancy="it differs", **changes):
    return record(
        claim=f"reproduction.keys.deviation_{number}",
        source=f"Deviation {number} of the reproduction; discrepancy: {discrepancy}",
        **changes,
    )


def test_rows_are_the_reproductions_claims_by_discrepancy():
    asked = card(
        record(claim="visual_symbols.3.3.order"),
        deviation(7, "a"),
        deviation(3, "b"),
        deviation(5, "a", verdict="refuted"),
    )
    rows = deviations.table(asked)
    assert [(row.discrepancy, row.deviation) for row in rows] == [
        ("a", "Deviation 5"),
        ("a", "Deviation 7"),
        ("b", "Deviation 3"),
    ]
    assert [entry["explains"] for entry in deviations.to_json(asked)] == [
        "does not",
        "explains it",
        "explains it",
    ]


def test_each_subject_has_its_own_answer():
    asked = card(deviation(3, subject="one"), deviation(3, subject="two", verdict="refuted"))
    [row] = deviations.table(asked)
    assert {name: str(r.verdict) for name, r in row.records.items()} == {
        "one": "supported",
        "two": "refuted",
    }


def test_a_run_without_them_has_no_table():
    assert deviations.table(card(record())) == []


def test_every_verdict_has_a_word():
    assert set(deviations.WORDS) == set(Verdict)
