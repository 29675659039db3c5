"""What makes a claim easier is found, by data; what makes it harder or only moves it is not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seals import SEAL, change_cell, change_claim, change_experiment, rename

from harness.judging.seal import Seal, SealedCell
from harness.judging.weakening import find_rewritten, find_weakenings

NUMBERS = st.floats(-10, 10, allow_nan=False)
KEYS, FEW = "paper.4.3.keys", "paper.3.4.few_heads"


def easier(after: Seal, before: Seal = SEAL) -> list[str]:
    return [change.what for change in find_weakenings(before, after)]


def test_nothing_is_easier_than_itself():
    assert find_weakenings(SEAL, SEAL) == []
    assert find_rewritten(SEAL, SEAL) == []


@given(NUMBERS, NUMBERS)
def test_a_threshold_is_easier_exactly_on_the_easy_side(before, after):
    for id, down in ((KEYS, True), (FEW, False)):
        old = change_claim(id=id, threshold=before, exceptions={})
        new = change_claim(id=id, threshold=after, exceptions={})
        expected = after < before if down else after > before
        assert easier(new, old) == ([f"{id}: threshold"] if expected else [])


@given(
    NUMBERS,
    NUMBERS,
    st.dictionaries(st.sampled_from("abc"), NUMBERS),
    st.dictionaries(st.sampled_from("abc"), NUMBERS),
)
def test_a_threshold_is_easier_for_exactly_the_subjects_that_can_pass_lower(a, b, before, after):
    """Whether by its own exception, or by an exception that was taken away, or by the claim's own threshold."""
    old = change_claim(threshold=a, exceptions=before)
    new = change_claim(threshold=b, exceptions=after)
    found = easier(new, old)
    for name in {*before, *after}:
        told = f"{KEYS}: threshold for {name}" in found
        assert told == (after.get(name, b) < before.get(name, a))
    assert (f"{KEYS}: threshold" in found) == (b < a)


def test_a_moved_threshold_says_how_it_was_and_how_it_is():
    (change,) = find_weakenings(SEAL, change_claim(threshold=0.65))
    assert (change.before, change.after) == (
        "above 0.7 share of answers",
        "above 0.65 share of answers",
    )
    assert change.names == (KEYS,)


@pytest.mark.parametrize("changes", [{"direction": "below"}, {"unit": "logits"}])
def test_a_threshold_that_cannot_be_compared_needs_a_reason(changes):
    (change,) = find_weakenings(SEAL, change_claim(**changes))
    assert change.what == f"{KEYS}: threshold"
    assert "cannot be compared" in change.after


def test_a_removed_claim_is_found_and_a_new_one_is_not():
    fewer = replace(SEAL, claims={id: c for id, c in SEAL.claims.items() if id != KEYS})
    (change,) = find_weakenings(SEAL, fewer)
    assert (change.what, change.after, change.names) == (KEYS, "removed", (KEYS,))
    # Its cells go with it, and are no changes of their own.
    cells = {pair: cell for pair, cell in SEAL.controls.items() if pair[0] != KEYS}
    assert easier(replace(fewer, controls=cells)) == [KEYS]
    assert find_weakenings(fewer, SEAL) == []


def test_a_renamed_claim_is_named_and_still_compared():
    (change,) = find_weakenings(SEAL, rename(KEYS, "paper.4.3.other"))
    assert (change.what, change.after) == (KEYS, "renamed paper.4.3.other")
    weaker = rename(KEYS, "paper.4.3.other", change_claim(threshold=0.1, exceptions={"llava": 0.5}))
    assert easier(weaker) == [KEYS, f"{KEYS}: threshold"]
    cells = rename(KEYS, "paper.4.3.other", change_cell("shortcut", SealedCell("blocked", ())))
    assert easier(cells) == [KEYS, f"{KEYS} on shortcut: verdict"]
    fewer = rename(
        KEYS, "paper.4.3.other", change_experiment(trials={"embedded": 40, "paper": 200})
    )
    changes = find_weakenings(SEAL, fewer)
    assert [c.what for c in changes] == [KEYS, "experiment keys: trials on small subjects"]
    # By the id that it was known by.
    assert changes[1].names == (FEW, KEYS)


def test_a_claim_whose_statement_two_others_have_was_removed():
    copied = {"paper.4.3.a": SEAL.claims[KEYS], "paper.4.3.b": SEAL.claims[KEYS]}
    others = {id: claim for id, claim in SEAL.claims.items() if id != KEYS}
    (change,) = find_weakenings(SEAL, replace(SEAL, claims=others | copied))
    assert (change.what, change.after) == (KEYS, "removed")


@given(st.integers(1, 400), st.integers(1, 400))
def test_fewer_trials_are_found_for_every_claim_that_needs_them(embedded, paper):
    new = change_experiment(name="mediation", trials={"embedded": embedded, "paper": paper})
    expected = ["experiment mediation: trials on small subjects"] if embedded < 160 else []
    expected += (
        ["experiment mediation: trials on subjects of the paper's size"] if paper < 200 else []
    )
    assert easier(new) == expected
    # The claim on keys is measured with mediation; the claim on behaviour is not.
    assert {c.names for c in find_weakenings(SEAL, new)} <= {(FEW, KEYS)}


def test_an_experiment_that_no_claim_needs_can_have_any_trials():
    unused = replace(SEAL, experiments={**SEAL.experiments, "spare": SEAL.experiments["behaviour"]})
    fewer = change_experiment(unused, "spare", trials={"embedded": 1, "paper": 1})
    assert find_weakenings(unused, fewer) == []


def test_a_claim_that_moves_to_an_experiment_with_fewer_trials_is_found():
    own = replace(SEAL.experiments["keys"], measures=("behaviour", "mediation", "small"))
    few = replace(own, trials={"embedded": 20, "paper": 200}, least=0.3)
    both = replace(SEAL, experiments={**SEAL.experiments, "small": few})
    assert easier(change_claim(both, experiments=("small",))) == [
        f"{KEYS}: trials on small subjects",
        f"{KEYS}: share right that is required",
    ]
    same = replace(SEAL, experiments={**SEAL.experiments, "small": own})
    assert find_weakenings(SEAL, change_claim(same, experiments=("small",))) == []


def test_an_experiment_that_others_build_on_does_not_lose_trials_by_another_name():
    few = replace(
        SEAL.experiments["mediation"],
        trials={"embedded": 20, "paper": 200},
        measures=("behaviour", "quick"),
    )
    others = {name: e for name, e in SEAL.experiments.items() if name != "mediation"}
    after = replace(SEAL, experiments={**others, "quick": few})
    after = change_experiment(after, measures=("behaviour", "keys", "quick"))
    assert easier(after) == [f"{id}: trials on small subjects" for id in (FEW, KEYS)]


def test_a_claim_that_is_measured_by_nothing_any_more_is_found():
    assert easier(change_claim(experiments=())) == [f"{KEYS}: experiments"]
    assert find_weakenings(change_claim(experiments=()), SEAL) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"least": 0.5}, "share right that is required"),
        ({"requires": None}, "required task"),
        ({"requires": "an easier task"}, "required task"),
        ({"least": 0.7}, None),
        ({"own_task": True}, None),
        ({"looks": False}, None),
    ],
)
def test_a_precondition_is_easier_where_less_or_something_else_is_required(changes, found):
    after = change_experiment(**changes)
    assert easier(after) == ([f"experiment keys: {found}"] if found else [])


def test_a_share_that_no_task_is_asked_for_may_change():
    free = change_experiment(requires=None)
    assert find_weakenings(free, change_experiment(free, least=0.1)) == []


def test_a_task_that_its_own_trials_told_and_do_not_tell_any_more_is_found():
    own = change_experiment(requires=None, own_task=True)
    gone = change_experiment(requires=None, own_task=False)
    assert easier(gone, own) == ["experiment keys: required task"]
    assert find_weakenings(gone, own) == []


@pytest.mark.parametrize(
    ("control", "cell", "found"),
    [
        ("shortcut", SealedCell("inconclusive", ()), "verdict"),
        ("shortcut", SealedCell("supported", ()), "verdict"),
        ("shortcut", None, "verdict"),
        ("shortcut", SealedCell("refuted", ("inconclusive",)), "verdicts of other seeds"),
        ("planted", SealedCell("supported", ("inconclusive",)), None),
        ("planted", SealedCell("supported", ()), None),
        ("planted", SealedCell("refuted", ()), None),
        ("planted", SealedCell("inconclusive", ("supported",)), None),
    ],
)
def test_a_control_is_easier_where_it_need_not_be_refuted_or_may_say_more(control, cell, found):
    expected = [] if found is None else [f"{KEYS} on {control}: {found}"]
    assert easier(change_cell(control, cell)) == expected


def test_controls_that_change_alike_are_named_together():
    cells = {(KEYS, name): SealedCell("refuted", ()) for name in ("a", "b", "c")}
    before = replace(SEAL, controls=cells)
    changed = {pair: SealedCell("blocked", ()) for pair in [*cells][:2]}
    assert easier(replace(SEAL, controls=cells | changed), before) == [f"{KEYS} on a, b: verdict"]


@pytest.mark.parametrize(
    ("name", "easy", "hard"),
    [
        ("ALPHA", 0.05, 0.01),
        ("LEVEL", 0.9, 0.99),
        ("MARGIN", 0.5, 0.1),
        ("MINIMUM_CLUSTERS", 4.0, 20.0),
    ],
)
def test_a_rule_that_all_claims_share_is_compared(name, easy, hard):
    for value, expected in ((easy, [f"the rule {name}"]), (hard, [])):
        assert easier(replace(SEAL, rules={**SEAL.rules, name: value})) == expected


def test_settings_of_two_seals_are_compared():
    few = replace(SEAL, settings={**SEAL.settings, "trials": 100})
    assert len(find_weakenings(SEAL, few)) == 6
    assert find_weakenings(few, SEAL) == []
    assert easier(replace(SEAL, settings={**SEAL.settings, "gate": False})) == ["gate"]
    assert find_weakenings(SEAL, replace(SEAL, settings={**SEAL.settings, "seed": 4})) == []


@given(st.permutations(list(SEAL.claims)), st.permutations(list(SEAL.experiments)))
def test_the_order_of_claims_and_experiments_changes_nothing(claims, experiments):
    other = replace(
        SEAL,
        claims={id: SEAL.claims[id] for id in claims},
        experiments={name: SEAL.experiments[name] for name in experiments},
        controls=dict(reversed(SEAL.controls.items())),
    )
    assert other.digest == SEAL.digest
    assert find_weakenings(SEAL, other) == find_weakenings(other, SEAL) == []


def test_what_only_a_reader_can_judge_is_told_and_is_not_easier():
    after = change_claim(statement="Positions stand somewhere.", test="2" * 16)
    after = replace(after, stimuli="6" * 64, code={**SEAL.code, "judging": "c" * 64})
    assert find_weakenings(SEAL, after) == []
    assert find_rewritten(SEAL, after) == [
        f"{KEYS}: its statement and its test",
        "the code that reads and judges",
        "the stimuli",
    ]


def test_a_threshold_that_is_not_a_number_never_gets_into_a_seal():
    with pytest.raises(ValueError, match="JSON compliant"):
        _ = change_claim(threshold=math.nan).digest
