"""One command judges two versions of a model and tells head by head what moved and what was lost."""

from __future__ import annotations

import json

import pytest

from harness.cli.main import main

pytestmark = pytest.mark.deep


@pytest.fixture
def compare(tmp_path, capfd):
    """A function that compares a subject with another version of it: status, what was printed, facts."""

    def go(subject, *how):
        facts = tmp_path / "facts.json"
        status = main(
            [
                "compare",
                subject,
                *how,
                "--section",
                "3.4",
                "--into",
                str(tmp_path / "out"),
                "--json",
                str(facts),
                f"--pytest=--no-gate --trials 24 --store '{tmp_path / 'store'}'",
            ]
        )
        return status, capfd.readouterr().out, json.loads(facts.read_text())

    return go


def moves(facts):
    return {stage["stage"]: stage["move"] for stage in facts["stages"]}


def listed(facts, stage, side):
    [found] = [s for s in facts["stages"] if s["stage"] == stage]
    return {(h["layer"], h["head"]) for h in found["heads"] if h[f"listed_{side}"]}


def test_a_stage_whose_heads_were_silenced_moves_to_what_is_left_and_no_other_moves(
    compare, tmp_path, capfd
):
    """Of this control the heads of layer 7 do a part of the stage, and all of it without those of layer 6."""
    _, printed, facts = compare("taught", "--merged", "taught:features=0")
    assert moves(facts) == {
        "id_retrieval": "same",
        "id_selection": "same",
        "feature_retrieval": "moved",
    }
    assert {(6, 4), (6, 5)} <= listed(facts, "feature_retrieval", "before")
    assert {layer for layer, _ in listed(facts, "feature_retrieval", "after")} == {7}
    [verdict] = [
        row["after"]
        for row in facts["rows"]
        if row["claim"] == "visual_symbols.3.4.feature_retrieval"
    ]
    assert verdict == "supported", "the claim alone does not tell"
    assert "feature retrieval  MOVED" in printed
    # The two folders hold all of that: without a model, it is said again.
    sides = [str(tmp_path / "out" / side) for side in ("before", "after")]
    main(["compare", *sides, "--partial"])
    assert "feature retrieval  MOVED" in capfd.readouterr().out


def test_renumbered_heads_are_green_even_if_heads_are_asked_to_stay(compare):
    status, printed, facts = compare("planted", "--merged", "planted:heads", "--strict-heads")
    assert status == 0, printed[-2000:]
    assert set(moves(facts).values()) == {"renumbered"}


def test_a_trained_control_survives_eight_bits_and_one_written_by_hand_does_not(compare):
    status, printed, facts = compare("taught", "--quantised", "int8", "--strict-heads")
    assert status == 0, printed[-2000:]
    assert set(moves(facts).values()) == {"same"}
    status, _, facts = compare("planted", "--quantised", "int8")
    assert status == 1
    assert moves(facts)["id_retrieval"] == "lost"
