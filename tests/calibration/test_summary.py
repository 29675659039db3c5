"""What a calibration adds up to, and that nothing wrong in it goes unsaid."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.calibration import summary
from harness.calibration.seeds import add_up_seeds
from harness.calibration.summary import add_up, count_false_passes, find_faults
from harness.judging.controls import read_expected
from harness.judging.verdict import Verdict
from harness.reporting.error_rates import find_uncalibrated, summarize_error_rates

CLAIMS = sorted({claim for claim, _ in read_expected()})
HOLDS = [c for c in CLAIMS if read_expected()[c, "planted"].verdict == Verdict.supported]


def null(subjects, supported=()):
    return {
        ("null", f"untrained:{i}", i): {
            c: "supported" if (i, k) in supported else "refuted" for k, c in enumerate(CLAIMS)
        }
        for i in range(subjects)
    }


def test_the_bound_is_the_exact_one_over_subjects():
    found = count_false_passes(null(100))
    exact = binomtest(0, 100).proportion_ci(0.90, "exact").high
    assert (found["rate"], found["n"], found["subjects"]) == (0, 100 * len(CLAIMS), 100)
    assert found["asked"] == dict.fromkeys(CLAIMS, 100)
    assert found["upper"] == pytest.approx(exact)
    assert found["upper"] < 0.03


def test_claims_of_one_subject_stand_and_fall_together_in_the_bound():
    every = [(3, k) for k in range(len(CLAIMS))]
    found = count_false_passes(null(100, every))
    assert found["rate"] == pytest.approx(0.01)
    assert found["upper"] == pytest.approx(binomtest(1, 100).proportion_ci(0.90, "exact").high)
    assert len(found["passed"]) == len(CLAIMS)
    assert count_false_passes(null(2, [(i, k) for i in (0, 1) for _, k in every]))["upper"] == 1.0


def test_what_was_not_decided_is_not_counted():
    results = null(10)
    for found in results.values():
        found[CLAIMS[0]] = "inconclusive"
    found = count_false_passes(results)
    assert found["n"] == 10 * (len(CLAIMS) - 1)
    assert CLAIMS[0] not in found["asked"]
    assert count_false_passes({})["rate"] == 0


def test_what_can_be_true_with_a_wrong_image_is_no_false_pass():
    """Nine objects have all nine colors, in any image: only a blank one takes the answer away."""
    truly = "visual_symbols.3.1.not_by_elimination"
    for subject, passes in (("tiny-qwen2-vl:wrong-image", 0), ("untrained:1", 1)):
        results = {**parts(), ("null", subject, 1): dict.fromkeys(CLAIMS, "refuted")}
        results["null", subject, 1][truly] = "supported"
        false = add_up(results, [])["false_pass"]
        assert len(false["misled"]["passed"]) == 0
        assert len(false["passed"]) == passes


def note(verdict, distance=0.5):
    return {
        "verdict": str(verdict),
        "threshold": 0.0,
        "estimate": distance,
        "low": None if distance is None else distance - 0.1,
        "high": None if distance is None else distance + 0.1,
    }


def parts():
    controls = {control for _, control in read_expected()}
    located = {
        "auroc": {"id_retrieval": 1.0},
        "onsets": {"position@last": [4, [4, 5]]},
        "steering": {"untouched": 0.0, "planted": 1.0, "random": 0.0},
    }
    return {
        **{
            ("table", name, seed): {c: note(read_expected()[c, name].verdict) for c in CLAIMS}
            for name in controls
            for seed in range(20 if name in ("planted", "shortcut") else 1)
        },
        **null(100),
        ("null", "tiny-llava:shuffled", 1): dict.fromkeys(CLAIMS, "refuted"),
        ("localise", "planted", 0): located,
        ("coverage", "intervals", 0): {"mean": 0.95},
    }


def find_taught(open_in=()):
    """Cells over 20 seeds, all as the table has them; of those in `open_in` five are inconclusive."""
    by_seed = {
        pair: [
            note("inconclusive" if pair in open_in and n < 5 else cell.verdict) for n in range(20)
        ]
        for pair, cell in read_expected().items()
        if pair[1].startswith("taught")
    }
    return add_up_seeds(by_seed)


def content(changes=(), open_in=()):
    results = parts()
    for part, claim, value in changes:
        results[part] = {**results[part], claim: value}
    added = add_up(results, find_taught(open_in))
    return {**added, "size": {"coverage": 4000, "trials": None, "controls": None}}


def test_a_suite_that_is_right_has_no_findings():
    made = content()
    assert find_faults(made) == []
    assert len(made["table"]) == len(read_expected())
    assert all(row["reason"] for row in made["table"])
    assert {c for c, power in made["power"].items() if power == 1} == set(HOLDS)
    assert (made["repeats"], made["seeds"]) == (20, [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("shortcut", "supported"), "on shortcut: supported, expected refuted"),
        (("planted", "refuted"), "on planted: refuted, expected supported"),
    ],
)
def test_every_cell_that_is_not_as_expected_is_told(change, told):
    control, verdict = change
    wrong = "visual_symbols.3.4.id_selection"
    every = [(("table", control, seed), wrong, note(verdict)) for seed in range(20)]
    assert f"{wrong} {told}" in find_faults(content(every))
    assert all(
        fault.startswith((wrong, f"power of {wrong}")) for fault in find_faults(content(every))
    )


def test_a_cell_that_changes_with_the_seed_is_a_fault_unless_it_lies_near_its_threshold():
    sure = "visual_symbols.3.4.id_selection"
    odd = [(("table", "shortcut", 7), sure, note("supported"))]
    assert find_faults(content(odd)) == [
        f"{sure} on shortcut changes with the seed: 19 refuted, 1 supported; expected refuted"
    ]


@pytest.mark.parametrize(
    ("verdict", "distance", "fault"),
    [
        ("inconclusive", 0.24, ""),
        ("inconclusive", None, ""),
        ("inconclusive", 0.26, "more than 2.5"),
        ("supported", 0.24, "expected refuted"),
    ],
)
def test_a_cell_near_its_threshold_may_change_as_the_table_says(
    monkeypatch, verdict, distance, fault
):
    near = ("visual_symbols.3.4.id_selection", "shortcut")
    cells = dict(read_expected())
    cells[near] = cells[near]._replace(also=frozenset({Verdict.inconclusive}))
    monkeypatch.setattr(summary.controls, "read_expected", lambda: cells)
    changed = [
        (("table", near[1], i), near[0], note(verdict if i == 3 else "refuted", distance))
        for i in range(20)
    ]
    faults = find_faults(content(changed))
    assert len(faults) == bool(fault)
    assert all(fault in told for told in faults)


def test_what_was_not_judged_or_measured_is_told():
    results = parts()
    for i in range(20):
        del results["table", "shortcut", i][CLAIMS[0]]
    for i in range(20):
        del results["table", "planted", i][CLAIMS[1]]
    made = {**add_up(results, []), "size": {"coverage": 4000, "trials": None, "controls": None}}
    assert find_faults(made) == [
        f"{CLAIMS[0]} on shortcut: not judged",
        f"{CLAIMS[1]} on planted: not judged",
        f"power of {CLAIMS[1]}: not measured",
        "power on trained-in stages: all claims in reports/seeds.json asked something else",
    ]


def test_false_passes_and_lack_of_power_are_told():
    every = [(("null", f"untrained:{i}", i), c, "supported") for i in range(2) for c in CLAIMS]
    assert any(f.startswith("false passes: 2.00%") for f in find_faults(content(every)))
    misled = [(("null", "tiny-llava:shuffled", 1), c, "supported") for c in CLAIMS]
    assert "false passes on misled subjects: 100.00% of claims" in find_faults(content(misled))
    weak = [(("table", "planted", i), HOLDS[0], note(Verdict.inconclusive)) for i in (3, 4)]
    assert f"power of {HOLDS[0]}: 90%" in find_faults(content(weak))
    assert not [f for f in find_faults(content(weak[:1])) if f.startswith("power")]
    refuted = next(c for c in CLAIMS if read_expected()[c, "planted"].verdict == Verdict.refuted)
    assert content()["power"][refuted] == 0
    assert find_faults(content()) == []


@pytest.mark.parametrize(("times", "told"), [(1, False), (9, False), (10, True), (40, True)])
def test_a_claim_that_passes_often_is_told_however_many_never_do(times, told):
    once = [(("null", f"untrained:{i}", i), CLAIMS[0], "supported") for i in range(times)]
    line = f"false passes of {CLAIMS[0]} on untrained subjects: {times}%"
    assert (line in find_faults(content(once))) is told


def test_heads_onsets_steering_and_intervals_are_told():
    where = ("localise", "planted", 0)
    cases = {
        "AUROC of id_retrieval on planted: 0.9": (where, "auroc", {"id_retrieval": 0.9}),
        "AUROC of id_retrieval on planted: nan": (where, "auroc", {"id_retrieval": float("nan")}),
        "position@last is there from layer 3 of": (where, "onsets", {"position@last": [3, [4, 5]]}),
        "steering planted": (where, "steering", {"planted": 1.0, "random": 0.5}),
        "coverage of mean: 91.0%": (("coverage", "intervals", 0), "mean", 0.91),
    }
    for told, change in cases.items():
        (only,) = find_faults(content([change]))
        assert only.startswith(told)


def test_power_is_told_of_claims_that_hold_on_planted_and_on_trained_in_stages():
    held = {
        (claim, control)
        for (claim, control), cell in read_expected().items()
        if control.startswith("taught") and "supported" in {cell.verdict, *cell.also}
    }
    made = content()
    told = {(claim, name) for claim, of in made["power_taught"].items() for name in of}
    assert told == held
    assert held
    (claim, control), *_ = sorted(
        (c, n) for c, n in held if read_expected()[c, n].verdict == "supported"
    )
    some = content(open_in={(claim, control)})
    assert some["power_taught"][claim][control] == 0.75


def test_the_sentence_on_a_scorecard_tells_power_of_claims_that_hold_and_no_others():
    made = {**content(), "made": "2026-01-01", "claims": {}}
    card = SimpleNamespace(claims=(), records=())
    told = summarize_error_rates(made, card)
    assert "every claim that holds is found in each of 20 repeats" in told
    assert "where its stages were trained in" in told
    assert "trained in" not in summarize_error_rates({**made, "power_taught": {}}, card)


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.sampled_from(("same", "other words", "other limit"))
    ),
    st.sets(st.sampled_from("abcd")),
)
def test_a_scorecard_tells_how_many_claims_asked_something_else_when_calibrated(judged, known):
    asked = {claim: {"statement": f"It {claim}s.", "thresholds": [0.3, 0.5]} for claim in known}
    made = {**content(), "made": "2026-01-01", "claims": asked}
    records = [
        SimpleNamespace(
            claim=claim,
            statement=f"It {claim}s{' more' if how == 'other words' else ''}.",
            threshold=0.7 if how == "other limit" else 0.5,
        )
        for claim, how in judged.items()
    ]
    card = SimpleNamespace(claims=tuple(judged), records=records)
    other = {claim for claim, how in judged.items() if how != "same" or claim not in known}
    assert find_uncalibrated(made, card) == other
    told = summarize_error_rates(made, card)
    assert ("stated otherwise since" in told) == bool(other)
    if other and len(other) < len(judged):
        assert f"{len(other)} of these {len(judged)} claims " in told
