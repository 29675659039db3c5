"""Every collected pair has one verdict, and a verdict that the correction takes back says so."""

from __future__ import annotations

import json

import pytest
from cards import CLAIM, card, record, run
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from harness.judging.verdict import Outcome, Verdict
from harness.machine.files import write_json
from harness.reporting.scorecard import ALPHA, Scorecard, build, load_baseline

NAMES = [f"paper.1.c{i}" for i in range(6)]
SUBJECTS = ["a", "b"]
PAIRS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(SUBJECTS)), unique=True, max_size=12
)


@given(pairs=PAIRS, data=st.data())
def test_every_collected_pair_has_one_verdict_or_is_missing(pairs, data):
    judged = data.draw(st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([]))
    made = build(run(), [record(c, s) for c, s in judged], pairs)
    found = [(r.claim, r.subject) for r in made.records]
    assert sorted(found + list(made.missing)) == sorted(pairs)
    assert set(found) == set(judged)
    assert found == [p for p in pairs if p in judged], "the order is that of collection"


def test_two_records_of_one_pair_are_refused():
    with pytest.raises(ValueError, match=r"paper.1.order for tiny has a record 2 times"):
        build(run(), [record(), record()], [(CLAIM, "tiny")])


def test_a_pair_collected_twice_is_refused():
    with pytest.raises(ValueError, match="was collected 2 times"):
        build(run(), [record()], [(CLAIM, "tiny")] * 2)


def test_a_record_that_was_not_collected_is_refused():
    with pytest.raises(ValueError, match=r"recorded but not collected.*paper.1.order for tiny"):
        build(run(), [record()], [])


@given(st.lists(st.floats(0, 0.024), min_size=1, max_size=6), st.integers(0, 3))
def test_a_supported_record_is_kept_exactly_when_its_adjusted_p_is_small(small, others):
    values = small + [0.9] * others
    names = [f"paper.1.c{i}" for i in range(len(values))]
    made = card(
        *(
            record(name, p_value=p, verdict="supported" if p < ALPHA else "refuted")
            for name, p in zip(names, values, strict=True)
        )
    )
    for judged, p, adjusted in zip(
        made.records, values, false_discovery_control(values), strict=True
    ):
        assert made.p_adjusted[judged.claim, "tiny"] == pytest.approx(adjusted)
        if p >= ALPHA:
            assert judged.verdict is Verdict.refuted
        else:
            kept = adjusted <= ALPHA
            assert judged.verdict is (Verdict.supported if kept else Verdict.inconclusive)
            if not kept:
                assert f"correction over {len(values)} claim" in judged.reason


def test_a_lost_claim_says_over_how_many_and_is_counted():
    made = card(record("paper.1.a", p_value=0.02), record("paper.1.b", "tiny", "refuted"))
    lost = made.records[0]
    assert lost.verdict is Verdict.inconclusive
    assert lost.reason == (
        "0.6 [0.5, 0.7] r is above 0.4, but not after correction over 2 claims: "
        "adjusted p = 0.04, above 0.025"
    )
    assert "over 2 claims of paper" in made.correction
    assert "1 supported claim became inconclusive" in made.correction
    assert made.corrected_over == {("tiny", "paper"): 2}


def test_an_adjusted_p_at_the_level_itself_is_enough():
    assert card(record(p_value=ALPHA)).records[0].verdict is Verdict.supported


@pytest.mark.parametrize(("p", "printed"), [(0.0250001, "0.0250001"), (0.0266666, "0.027")])
def test_an_adjusted_p_prints_short_but_never_as_the_level(p, printed):
    reason = card(record(p_value=p)).records[0].reason
    assert reason.endswith(f"adjusted p = {printed}, above 0.025")


@pytest.mark.parametrize("apart", [("paper.1.b", "other"), ("elsewhere.1.b", "tiny")])
def test_another_subject_or_paper_is_corrected_by_itself(apart):
    made = card(record("paper.1.a", p_value=0.02), record(*apart, "refuted"))
    assert made.records[0].verdict is Verdict.supported
    assert made.p_adjusted["paper.1.a", "tiny"] == 0.02


def test_records_without_a_p_value_are_not_counted():
    made = card(record("paper.1.a", p_value=0.02), record("paper.1.b", "tiny", "blocked"))
    assert made.records[0].verdict is Verdict.supported
    assert made.corrected_over == {("tiny", "paper"): 1}


def test_correcting_again_changes_nothing():
    once = card(record("paper.1.a", p_value=0.02), record("paper.1.b", "tiny", "refuted"))
    assert card(*once.records).records == once.records


@pytest.mark.parametrize(
    ("verdict", "baseline", "outcome", "change"),
    [
        ("supported", "refuted", Outcome.passed, "improved"),
        ("refuted", "refuted", Outcome.xfailed, "same"),
        ("refuted", "supported", Outcome.failed, "regressed"),
        ("blocked", "supported", Outcome.failed, "regressed"),
        ("refuted", None, Outcome.failed, ""),
    ],
)
def test_records_are_compared_with_the_verdict_of_their_baseline(
    verdict, baseline, outcome, change
):
    made = card(record(verdict=verdict, baseline=baseline))
    standing = made.standings()[CLAIM, "tiny"]
    assert (standing.outcome, standing.change) == (outcome, change)
    assert made.red == (outcome is Outcome.failed)


def test_a_claim_that_the_subject_s_baseline_lacks_is_new():
    made = card(
        record("paper.1.a", baseline="supported"),
        record("paper.1.b"),
        record("paper.1.a", "other"),
    )
    changes = {pair: standing.change for pair, standing in made.standings().items()}
    assert changes == {
        ("paper.1.a", "tiny"): "same",
        ("paper.1.b", "tiny"): "new",
        ("paper.1.a", "other"): "",
    }


def test_a_missing_verdict_or_an_error_makes_the_run_red():
    assert not card(record()).red
    assert card(record(), missing=[("paper.1.b", "tiny")]).red
    assert card(record(verdict="error")).red


def test_a_scorecard_survives_json():
    made = card(
        record("paper.1.a", p_value=0.02, published=0.5, baseline="supported"),
        record("paper.1.b", "tiny", "refuted"),
        record("paper.1.c", "ti/ny", "error", reason="ein\nFehler ☂"),
        missing=[("paper.1.d", "tiny")],
    )
    content = made.to_json()
    assert list(content) == ["run", "records", "missing", "correction"]
    assert Scorecard.from_json(json.loads(json.dumps(content, allow_nan=False))) == made


def test_a_scorecard_file_with_a_pair_twice_is_refused():
    content = card(record()).to_json()
    content["missing"] = [[CLAIM, "tiny"]]
    with pytest.raises(ValueError, match="2 times"):
        Scorecard.from_json(content)


def test_a_baseline_is_read_by_claim_and_subject(tmp_path):
    made = card(record("paper.1.a"), record("paper.1.b", "tiny", "refuted"))
    write_json(tmp_path / "b.json", made.to_json())
    assert load_baseline(tmp_path / "b.json") == made.by_pair
    renamed = load_baseline(tmp_path / "b.json", "checkpoint")
    assert renamed["paper.1.b", "checkpoint"].verdict is Verdict.refuted
    assert {r.subject for r in renamed.values()} == {"checkpoint"}
    assert len(renamed) == 2


def test_a_baseline_of_several_subjects_cannot_stand_for_another(tmp_path):
    write_json(tmp_path / "b.json", card(record(), record(subject="other")).to_json())
    with pytest.raises(ValueError, match=r"several subjects \(tiny, other\)"):
        load_baseline(tmp_path / "b.json", "checkpoint")


@pytest.mark.parametrize("damage", ["schema", "records", "list", "text"])
def test_a_file_that_is_no_baseline_is_refused_and_named(tmp_path, damage):
    content = card(record()).to_json()
    if damage == "schema":
        content["run"]["schema"] = 99
    elif damage == "records":
        del content["records"]
    elif damage == "list":
        content = [content]
    path = tmp_path / "b.json"
    write_json(path, content)
    if damage == "text":
        path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match="b.json" if damage != "schema" else "b.json.*schema 99"):
        load_baseline(path)
