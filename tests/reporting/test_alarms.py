"""How often the gate is wrong is counted rightly, and said with what it was measured on."""

from __future__ import annotations

import math

import pytest
from cards import record
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from scored import first, measured, side

from harness.machine.files import ROOT, write_json
from harness.reporting import gate
from harness.reporting.alarms import (
    KINDS,
    SCHEMA,
    WEAKENED,
    Rate,
    count_power,
    count_red,
    digest_words,
    list_compared,
    read_alarms,
    render_alarms,
    summarize_alarms,
)
from harness.reporting.compare import compare

PERMUTED = ("permuted", "twin")


def compared(kind, how, *lost):
    return {
        "how": how,
        "kind": kind,
        "claims": 3,
        "held": 2,
        "lost": [{"claim": c, "reason": "it is lost"} for c in lost],
        "improved": 0,
    }


def part(*found, control="planted", seed=1, trials=24):
    return {"control": control, "seed": seed, "trials": trials, "code": "ab", "compared": [*found]}


def content(*parts, claim=None):
    one = claim or record()
    said = digest_words(one.statement, one.unit, one.direction)
    known = {one.claim: {"said": said, "thresholds": [one.threshold, 0.9]}}
    return {"schema": SCHEMA, "claims": known, "margin": 0.25, "parts": list(parts)}


MEASURED = content(
    part(compared("served", "halves"), compared(*PERMUTED, "paper.1.order")),
    part(compared("saved", "sharded"), compared(*PERMUTED), control="taught", seed=2),
    part(
        compared(WEAKENED, "features=0.5", "a", "b"),
        compared(WEAKENED, "features=0.9"),
        compared(WEAKENED, "selection=0", "a"),
        trials=None,
    ),
    part(compared(WEAKENED, "features=0.5"), seed=2, trials=None),
)


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_bound_is_wilsons_with_all_of_the_error_above(of, share):
    red = round(share * of)
    exact = binomtest(red, of).proportion_ci(confidence_level=0.90, method="wilson")
    assert Rate(red, of).upper == pytest.approx(exact.high, abs=1e-12)
    assert Rate(red, of).share <= Rate(red, of).upper <= 1


@given(st.integers(0, 20), st.integers(1, 500))
def test_more_comparisons_without_an_alarm_lower_the_bound(red, of):
    assert Rate(red, of + red).upper > Rate(red, of + red + 1).upper


def test_of_no_comparison_nothing_is_known():
    assert math.isnan(Rate(0, 0).share)
    assert Rate(0, 0).upper == 1.0


def test_a_comparison_counts_once_however_many_claims_it_lost():
    rate = count_red(list_compared(MEASURED["parts"]))
    assert rate == (1, 4)
    both = [compared("saved", "sharded", "a", "b")]
    assert count_red(both) == (1, 1)


def test_models_that_lost_something_are_not_false_alarms():
    assert {one["kind"] for one in list_compared(MEASURED["parts"])} <= set(KINDS)
    assert count_power(MEASURED["parts"]) == {
        ("features", 0.1): (0, 1),
        ("features", 0.5): (1, 2),
        ("selection", 1.0): (1, 1),
    }


def test_the_sentence_says_the_rate_and_what_it_is_of():
    told = summarize_alarms(MEASURED)
    assert "red in 1 of 4 comparisons (25.0%, at most " in told
    assert "with 1 claim and 24 trials: planted, taught, 1 run in other batches" in told
    assert "2 with heads, neurons" in told
    assert (
        "one stage of planted taken away it was red features 0/1 at 10%, 1/2 at 50%; selection 1/1 at "
        "100%, with each experiment's own trials."
    ) in told
    assert "Power" not in summarize_alarms(content(part(compared(*PERMUTED))))


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({}, False),
        ({"threshold": 0.9}, False),
        ({"threshold": 0.3}, True),
        ({"unit": "x"}, True),
        ({"statement": "Another thing comes before."}, True),
        ({"direction": "below"}, True),
    ],
    ids=str,
)
def test_the_sentence_says_which_claims_changed_since(changes, changed):
    told = summarize_alarms(MEASURED, [record(**changes)])
    assert ("Since then paper.1.order changed." in told) is changed
    assert "had no part in it" not in told


def test_the_sentence_says_how_many_claims_were_not_measured():
    told = summarize_alarms(MEASURED, [record(), record("paper.1.b"), record("paper.1.c")])
    assert told.endswith("2 claims of this comparison had no part in it.")


@pytest.mark.parametrize("text", [None, "{", "[]", '{"schema": 0, "parts": [1]}'], ids=str)
def test_a_file_that_cannot_be_used_is_told_as_not_measured(tmp_path, text):
    path = tmp_path / "alarms.json"
    if text is not None:
        path.write_text(text)
    assert read_alarms(path) is None
    assert "was not measured; `claims alarms` does" in summarize_alarms(read_alarms(path))


def test_every_comparison_quotes_it_wherever_it_is_shown(monkeypatch, tmp_path):
    write_json(tmp_path / "alarms.json", MEASURED)
    monkeypatch.setattr(gate, "read_alarms", lambda: read_alarms(tmp_path / "alarms.json"))
    found = compare(side(measured(first(0.9))), side(measured(first(0.9))))
    told = "red in 1 of 4 comparisons"
    assert told in " ".join(gate.render(found, width=10_000))
    assert told in gate.markdown(found)
    assert told in gate.to_json(found)["alarms"]


def test_the_tables_count_by_kind_and_by_stage():
    lines = list(render_alarms(MEASURED))
    assert "| saved again in other files | 1 | 0 | 73.0% |" in lines
    assert f"| all | 4 | 1 | {Rate(1, 4).upper:.1%} |" in lines
    assert lines[-4:] == [
        "| stage | 10% | 50% | 100% |",
        "|---|---|---|---|",
        "| features | 0 of 1 | 1 of 2 | 0 of 0 |",
        "| selection | 0 of 0 | 0 of 0 | 1 of 1 |",
    ]
    assert not any("stage" in line for line in render_alarms(content(part(compared(*PERMUTED)))))


def test_the_document_has_the_tables_of_what_is_committed():
    lines = (ROOT / "docs" / "gate.md").read_text().splitlines()
    assert [line for line in render_alarms(read_alarms()) if line not in lines] == []


def test_what_is_committed_is_what_the_gate_must_show():
    found = read_alarms()
    assert found is not None
    same = list_compared(found["parts"])
    rate = count_red(same)
    assert rate.of >= 200
    assert rate.share <= 0.01
    assert count_red([one for one in same if one["kind"] == "permuted"]).red == 0
    # Where nothing could be lost no alarm would be possible.
    assert all(one["held"] >= 10 for one in same)
    power = count_power(found["parts"])
    for stage in ("retrieval", "selection", "features"):
        assert power[stage, 1.0].share == 1
