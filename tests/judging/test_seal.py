"""A seal survives its file, shows when it was edited, and says what differs from it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from seals import BELOW, CLAIM, SEAL, change_cell, change_claim, change_experiment

from harness.judging.seal import Seal, SealedCell, read_seal, save_seal
from harness.judging.seal_differences import find_differences, find_unasked

KEYS = "paper.4.3.keys"


def test_a_seal_survives_its_file(tmp_path):
    path = tmp_path / "here" / "seal.json"
    save_seal(path, SEAL)
    found = read_seal(path)
    assert found == SEAL
    assert found.digest == SEAL.digest
    assert (found.written, found.harness) == (SEAL.written, SEAL.harness)


def test_a_seal_is_written_once(tmp_path):
    path = tmp_path / "seal.json"
    save_seal(path, SEAL)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is there already, and a seal is written once"):
        save_seal(path, change_claim(threshold=0.1))
    assert path.read_bytes() == before


def test_the_digest_is_of_what_is_sealed_and_not_of_when(tmp_path):
    assert replace(SEAL, written="2030-01-01", harness="9").digest == SEAL.digest
    others = [
        change_claim(threshold=0.69),
        change_claim(exceptions={}),
        change_claim(statement="Something."),
        change_experiment(least=0.5),
        change_cell("shortcut", None),
        replace(SEAL, stimuli="6" * 64),
        replace(SEAL, settings={**SEAL.settings, "seed": 1}),
        replace(SEAL, rules={**SEAL.rules, "MARGIN": 0.3}),
    ]
    assert len({seal.digest for seal in (SEAL, *others)}) == 1 + len(others)


@pytest.mark.parametrize("edit", ["threshold", "verdict", "seed", "least"])
def test_a_seal_that_was_edited_is_refused(tmp_path, edit):
    content = SEAL.to_json()
    where = {
        "threshold": content["claims"][KEYS],
        "verdict": content["controls"][KEYS]["planted"],
        "seed": content["settings"],
        "least": content["experiments"]["keys"],
    }[edit]
    where[edit] = {"seed": 5, "verdict": "inconclusive"}.get(edit) or where[edit] / 2
    path = tmp_path / "seal.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"seal\.json: it was changed after it was written"):
        read_seal(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "it is no seal"),
        ("{}", "it is no seal"),
        (
            '{"digest": "", "claims": 3, "schema": 2}',
            "of schema 2, and this version reads schema 1",
        ),
        ('{"digest": "", "claims": 3, "schema": 1}', "it is no seal"),
        ('{"digest', "is not a whole JSON file"),
        (json.dumps({**SEAL.to_json(), "experiments": {"keys": {"trials": 3}}}), "it is no seal"),
    ],
)
def test_what_is_no_seal_is_refused_by_the_name_of_its_file(tmp_path, content, said):
    path = tmp_path / "seal.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=said) as refusal:
        read_seal(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def places(content, path=()):
    """The path of every value in nested dictionaries."""
    for name, value in content.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from places(value, (*path, name))


def test_whatever_is_put_in_the_place_of_a_value_is_refused():
    """The clock and the version are free: nothing is judged by them."""
    whole = SEAL.to_json()
    paths = [path for path in places(whole) if path not in (("written",), ("harness",))]
    assert len(paths) > 60
    for *above, name in paths:
        for odd in (None, -3, "x", [], {}, [None], {"x": 1}):
            content = json.loads(json.dumps(whole))
            inner = content
            for part in above:
                inner = inner[part]
            if inner[name] == odd:
                continue
            inner[name] = odd
            with pytest.raises(ValueError, match=r"it is (no seal|of schema)|it was changed"):
                Seal.from_json(content)


def test_a_seal_that_is_not_there_says_how_to_write_one(tmp_path):
    with pytest.raises(ValueError, match="No such file or directory; `claims seal"):
        read_seal(tmp_path / "seal.json")


def told(now: Seal, controls=()) -> list[str]:
    return list(map(str, find_differences(SEAL, now, controls)))


def test_nothing_differs_from_a_seal_that_was_read(tmp_path):
    save_seal(tmp_path / "seal.json", SEAL)
    assert find_differences(read_seal(tmp_path / "seal.json"), SEAL, ["planted", "shortcut"]) == []


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            change_claim(threshold=0.6),
            f"{KEYS}: threshold: sealed above 0.7 share of answers, now above 0.6 share of answers; put",
        ),
        (
            # A harder threshold is another one, too: what was sealed is what is asked.
            change_claim(threshold=0.8),
            f"{KEYS}: threshold: sealed above 0.7 share of answers, now above 0.8 share of answers; put",
        ),
        (change_claim(exceptions={}), f"{KEYS}: exceptions for llava: sealed 0.5, now none; put"),
        (
            change_claim(exceptions={"llava": 0.5, "mine": 0.1}),
            f"{KEYS}: exceptions for mine: sealed none, now 0.1; put",
        ),
        (change_claim(published={}), f"{KEYS}: published for qwen: sealed 0.9, now none; put"),
        (
            change_claim(statement="So."),
            f"{KEYS}: statement: sealed 'Positions stand in the keys.', now 'So.'; put",
        ),
        (change_claim(test="2" * 16), f"{KEYS}: test: sealed '{'1' * 16}', now '{'2' * 16}'; put"),
        (change_claim(experiments=("behaviour",)), f"{KEYS}: experiments: sealed keys, now behav"),
        (
            replace(SEAL, claims={**SEAL.claims, "paper.9.new": BELOW}),
            "paper.9.new: sealed no such claim, now below 0.7 share of answers; take it out",
        ),
        (
            change_experiment(trials={"embedded": 40, "paper": 200}),
            "experiment keys: trials: sealed 160 (embedded), 200 (paper), now 40 (embedded), 200 (paper)",
        ),
        (change_experiment(least=0.4), "experiment keys: least: sealed 0.6, now 0.4; put it back"),
        (
            change_experiment(requires=None),
            "experiment keys: requires: sealed 'two objects', now none; put it back",
        ),
        (
            replace(SEAL, settings={**SEAL.settings, "seed": 3}),
            "seed: sealed 0, now 3; run with --seed 0",
        ),
        (
            replace(SEAL, settings={**SEAL.settings, "trials": 24}),
            "trials: sealed each experiment's own, now 24; run without --trials",
        ),
        (
            replace(SEAL, settings={**SEAL.settings, "gate": False}),
            "gate: sealed only subjects that do the task, now all subjects; run without --no-gate",
        ),
        (
            replace(SEAL, stimuli="6" * 64),
            f"stimuli: sealed {'5' * 12}, now {'6' * 12}; the code that draws scenes is another one",
        ),
        (
            replace(SEAL, rules={**SEAL.rules, "ALPHA": 0.1}),
            "the rule ALPHA: sealed 0.025, now 0.1; put it back",
        ),
    ],
)
def test_every_difference_is_named_with_what_was_sealed_what_is_and_what_to_try(now, said):
    (line,) = told(now)
    assert line.startswith(said)


def test_several_differences_are_all_named():
    now = replace(change_claim(threshold=0.6), settings={**SEAL.settings, "seed": 1, "trials": 24})
    assert [line.split(":")[0] for line in told(now)] == ["seed", "trials", KEYS]


def test_cells_are_compared_only_for_controls_that_are_asked():
    now = change_cell("shortcut", SealedCell("supported", ()))
    assert told(now) == []
    assert told(now, ["planted"]) == []
    assert told(now, ["shortcut"]) == [
        f"{KEYS} on the control shortcut: sealed refuted, now supported; "
        "put the cell of fixtures/controls.toml back"
    ]


def test_a_cell_of_a_claim_that_was_not_sealed_is_no_difference():
    now = change_cell("planted", SealedCell("refuted", ()), id="paper.9.new")
    assert told(now, ["planted"]) == []


def test_other_code_is_no_difference():
    assert told(replace(SEAL, code={"measuring": "c" * 64, "judging": "d" * 64})) == []


def test_an_experiment_that_no_sealed_claim_needs_may_change():
    spare = replace(SEAL, experiments={**SEAL.experiments, "spare": SEAL.experiments["keys"]})
    assert find_differences(spare, SEAL) == []
    assert CLAIM.experiments == ("keys",)


def test_a_seal_with_the_margins_of_earlier_versions_is_read_and_they_ask_nothing():
    cells = {pair: replace(cell, margin=0.25) for pair, cell in SEAL.controls.items()}
    content = replace(SEAL, controls=cells).to_json()
    assert content["controls"][KEYS]["planted"]["margin"] == 0.25
    read = Seal.from_json(json.loads(json.dumps(content)))
    assert read.digest == content["digest"]
    assert read == SEAL, "nothing else is asked"
    assert "margin" not in SEAL.to_json()["controls"][KEYS]["planted"]
    content["controls"][KEYS]["planted"]["margin"] = 0.5
    with pytest.raises(ValueError, match="it was changed after it was written"):
        Seal.from_json(content)


def test_of_many_claims_that_are_not_asked_the_first_few_are_named():
    claims = {f"paper.1.{n}": next(iter(SEAL.claims.values())) for n in "abcdefgh"}
    (lost,) = find_unasked(replace(SEAL, claims=claims), (), (), ("a",))
    assert lost.what == "paper.1.a, paper.1.b, paper.1.c, paper.1.d, paper.1.e and 3 more"


def test_claims_that_are_not_asked_are_named_with_the_reason():
    ids, both = sorted(SEAL.claims), ("a", "b")
    everything = {(id, name) for id in ids for name in both}
    assert find_unasked(SEAL, everything, (), both) == []
    without_one = everything - {(ids[0], "b")}
    (left,) = find_unasked(SEAL, without_one, {(ids[0], "b")}, both)
    assert str(left) == (
        f"{ids[0]}: sealed as a claim, now left out for b; "
        "ask every sealed claim: leave out -k, -m and --deselect"
    )
    (never,) = find_unasked(SEAL, without_one, (), both)
    assert never == left
    gone = {pair for pair in everything if pair[0] == ids[1]}
    (lost,) = find_unasked(SEAL, gone, (), both)
    assert lost.what == f"{ids[0]}, {ids[2]}"
    assert lost.now == "not there"
