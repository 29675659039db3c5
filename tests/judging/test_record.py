"""Records hold finite numbers or a reason, in the order of the contract, and survive JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import CLAIM, VALUES, order

from harness.judging.record import SCHEMA, Record, RunFacts
from harness.judging.verdict import Judgement, Verdict
from harness.statistics.estimate import Estimate, mean

KEYS = [
    "claim",
    "statement",
    "source",
    "subject",
    "family",
    "verdict",
    "estimate",
    "ci_low",
    "ci_high",
    "unit",
    "threshold",
    "direction",
    "n",
    "clusters",
    "seed",
    "published",
    "baseline",
    "reason",
    "measurement",
    "seconds",
    "p_value",
    "threshold_origin",
    "method",
    "control",
]
RUN = RunFacts(
    schema=SCHEMA,
    claims_hash="ab",
    harness="0.1.0",
    torch="2.13.0",
    transformers="5.23.0",
    nnsight=None,
    device="cpu",
    dtype="float32",
    attention="eager",
    started="2026-11-21T07:00:00+00:00",
    seed=42,
    trials=64,
    python="3.11.7",
    platform="linux",
)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(codec="utf-8"))
RECORDS = st.builds(
    Record,
    **dict.fromkeys(
        ["claim", "statement", "source", "subject", "family", "unit", "direction"], WORDS
    ),
    verdict=st.sampled_from(Verdict),
    **dict.fromkeys(
        ["estimate", "ci_low", "ci_high", "published", "seconds", "p_value"], FINITE | st.none()
    ),
    threshold=FINITE,
    **dict.fromkeys(["n", "clusters", "seed"], st.integers(0, 2**40)),
    baseline=st.none() | st.sampled_from([str(v) for v in Verdict]),
    reason=WORDS.map(lambda text: text + "."),
    measurement=WORDS | st.none(),
    **dict.fromkeys(["threshold_origin", "method"], WORDS),
)


def test_the_keys_are_the_contract_in_its_order():
    assert list(order().to_json()) == KEYS
    assert list(order().properties()) == KEYS


def test_a_record_holds_what_was_judged():
    estimate = mean(VALUES, range(12))
    made = order(baseline=Verdict.refuted, measurement="k", seconds=1.5)
    assert made.to_json() == {
        "claim": CLAIM.id,
        "statement": CLAIM.statement,
        "source": CLAIM.source,
        "subject": "qwen",
        "family": "qwen2_5_vl",
        "verdict": "supported",
        "estimate": 4.0,
        "ci_low": estimate.interval(0.95)[0],
        "ci_high": estimate.interval(0.95)[1],
        "unit": "layers",
        "threshold": 0.0,
        "direction": "above",
        "n": 12,
        "clusters": 12,
        "seed": 42,
        "published": 4.0,
        "baseline": "refuted",
        "reason": "4 [3.53, 4.47] layers is above 0",
        "measurement": "k",
        "seconds": 1.5,
        "p_value": estimate.p_value(0, "above"),
        "threshold_origin": "stated in the paper",
        "method": "skew-corrected t",
        "control": False,
    }


def test_the_threshold_and_the_published_value_are_those_of_the_subject():
    other = order(subject="llava")
    assert (other.threshold, other.published) == (2.0, None)
    assert other.p_value == mean(VALUES, range(12)).p_value(2, "above")
    assert order(published=7).published == 7.0


def test_without_a_measurement_numbers_are_null_with_the_reason():
    blocked = Record.of(
        CLAIM,
        subject="qwen",
        family="qwen2_5_vl",
        judgement=Judgement(Verdict.blocked, "accuracy is at chance"),
        estimate=None,
        seed=42,
    )
    assert (blocked.estimate, blocked.ci_low, blocked.ci_high, blocked.p_value) == (None,) * 4
    assert (blocked.n, blocked.clusters, blocked.method) == (0, 0, "")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_become_null(bad):
    made = order(estimate=Estimate(bad, lambda level: (bad, bad), 40, 20, "t"), seconds=bad)
    assert made.verdict is Verdict.error
    assert (made.estimate, made.ci_low, made.ci_high, made.p_value) == (None,) * 4
    assert made.seconds is None
    json.dumps(made.to_json(), allow_nan=False)


def test_one_scene_has_an_estimate_without_an_interval():
    made = order(estimate=mean([1, 2], "aa"))
    assert (made.estimate, made.ci_low, made.ci_high) == (1.5, None, None)
    assert "only 1 scene;" in made.reason


def test_an_absent_quantity_counts_in_the_correction():
    absent = order(estimate=Estimate.absent("position is not coded", 40, 20))
    assert (absent.verdict, absent.estimate, absent.p_value) == (Verdict.refuted, None, 1.0)


def test_a_missing_number_without_a_reason_is_refused():
    with pytest.raises(ValueError, match=r"3\.3\.order for qwen: estimate, ci_low, ci_high"):
        order(estimate=Estimate.absent("x"), judgement=Judgement(Verdict.error, " "))
    with pytest.raises(ValueError, match="ci_high"):
        replace(order(), ci_high=None, reason="")


@pytest.mark.parametrize("name", ["estimate", "ci_low", "ci_high", "threshold", "seconds"])
def test_a_record_refuses_nan(name):
    with pytest.raises(ValueError, match=f"{name} is nan"):
        replace(order(), **{name: math.nan})


@given(RECORDS)
def test_a_record_survives_json(one):
    text = json.dumps(one.to_json(), allow_nan=False)
    again = Record.from_json(json.loads(text))
    assert again == one
    assert type(again.verdict) is Verdict


@given(RECORDS)
def test_properties_are_text(one):
    assert all(type(value) is str for value in one.properties().values())


def test_properties_are_short_numbers_and_nothing_for_none():
    made = replace(order(), estimate=1 / 3, seed=123456789, published=None).properties()
    assert (made["estimate"], made["seed"], made["published"]) == ("0.333333", "123456789", "")
    assert made["verdict"] == "supported"


def test_keys_that_were_added_later_may_be_missing():
    row = order().to_json()
    del row["control"]
    assert Record.from_json(row) == order()


def test_missing_and_unknown_keys_are_named():
    row = order().to_json()
    with pytest.raises(ValueError, match=r"missing keys \[\], unknown keys \['units'\]"):
        Record.from_json({**row, "units": "layers"})
    with pytest.raises(ValueError, match=r"missing keys \['unit'\], unknown keys \['units'\]"):
        Record.from_json({**{k: v for k, v in row.items() if k != "unit"}, "units": "layers"})


def test_a_run_survives_json_in_the_order_of_the_contract():
    partial = replace(RUN, partial=True)
    assert RunFacts.from_json(json.loads(json.dumps(partial.to_json()))) == partial
    assert list(RUN.to_json()) == (
        [
            "schema",
            "claims_hash",
            "harness",
            "torch",
            "transformers",
            "nnsight",
            "device",
            "dtype",
            "attention",
            "started",
            "seed",
            "trials",
            "python",
            "platform",
            "partial",
            "stimuli",
            "gate",
            "code",
            "subjects",
            "partial_because",
            "command",
            "state",
            "seal",
        ]
    )
    assert RUN.partial is False


def test_the_commits_of_an_older_scorecard_are_read():
    row, commits = RUN.to_json(), {"tiny": {"revision": "main", "commit": "c" * 40}}
    del row["subjects"]
    assert RunFacts.from_json(row) == replace(RUN, subjects={})
    assert RunFacts.from_json({**row, "revisions": commits}) == replace(RUN, subjects=commits)
    with pytest.raises(ValueError, match=r"unknown keys \['commits'\]"):
        RunFacts.from_json({**row, "commits": commits})


def test_a_run_of_another_schema_is_refused():
    with pytest.raises(ValueError, match="schema 2; this version reads schema 1"):
        RunFacts.from_json({"schema": 2, "unheard": "of"})
    with pytest.raises(ValueError, match="schema None"):
        RunFacts.from_json({})
    with pytest.raises(ValueError, match="schema 2"):
        replace(RUN, schema=2)
