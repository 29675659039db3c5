"""docs/controls.md says of each claim what supports and what refutes it, as the table of controls has it."""

from __future__ import annotations

from harness.calibration.control_tables import (
    DOCUMENT,
    TASK,
    find_unproved,
    find_unrefuted,
    write_document,
)
from harness.calibration.runs import collect_claims
from harness.judging.controls import Expected, read_expected
from harness.judging.verdict import Verdict


def make_cells(**verdicts):
    """Cells of claim p.1.a on a control that does the task and on one that does not."""
    task = {"able": "supported", "unable": "refuted"}
    every = {
        **{(TASK, n): v for n, v in task.items()},
        **{("p.1.a", n): v for n, v in verdicts.items()},
    }
    return {pair: Expected(Verdict(verdict), "a reason") for pair, verdict in every.items()}


def test_a_claim_that_only_a_subject_refutes_which_fails_the_task_is_refuted_by_none():
    assert find_unrefuted(make_cells(able="supported", unable="refuted")) == ["p.1.a", TASK]
    assert find_unrefuted(make_cells(able="refuted", unable="refuted")) == [TASK]


def test_a_claim_that_is_open_or_refuted_everywhere_is_proved_by_none():
    assert find_unproved(make_cells(able="inconclusive", unable="refuted")) == ["p.1.a"]
    assert find_unproved(make_cells(able="refuted", unable="supported")) == []


def test_the_document_has_every_claim_once_and_is_what_the_table_says():
    claims = collect_claims()
    text = DOCUMENT.read_text()
    assert text == write_document(claims, read_expected())
    assert all(text.count(f"(`{claim.id}`)") == 1 for claim in claims)


def test_a_claim_stands_beside_the_controls_that_support_and_refute_it():
    one = next(c for c in collect_claims() if c.id != TASK)
    cells = {
        (one.id, n): Expected(Verdict(v), "why") for n, v in (("a", "supported"), ("b", "refuted"))
    }
    cells |= {(TASK, n): Expected(Verdict.supported, "why") for n in ("a", "b")}
    assert f"(`{one.id}`) | a | b |" in write_document([one], cells)
