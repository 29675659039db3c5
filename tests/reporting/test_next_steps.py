"""What to type next depends on what came out, and on how the run was started."""

from __future__ import annotations

import pytest
from cards import card, record

from harness.machine.files import ROOT
from harness.reporting.next_steps import (
    OF_TOX,
    EndedRun,
    choose_next_steps,
    spell_command,
    tell_next_steps,
)

MINE = ("claims", "--subject", "./mine")
GREEN = card(record("p.1.a", baseline="supported"))
CONTROL = card(record("p.1.a", "planted", baseline="supported", control=True))
LOST = card(record("p.1.a", verdict="refuted", baseline="supported"))


def first(card, **changes):
    return choose_next_steps(EndedRun(card, **changes))[0][0]


def test_after_the_embedded_subjects_come_the_controls_and_then_a_model_of_ones_own():
    assert first(GREEN, embedded={"tiny"}) == "pytest claims -m control"
    assert first(CONTROL) == "pytest claims --subject ./checkpoint"


def test_after_some_claims_the_next_command_asks_all():
    assert first(GREEN, embedded={"tiny"}, narrowed=True) == "pytest claims"
    assert first(GREEN, asked=MINE, narrowed=True) == "pytest claims --subject ./mine"
    allowed = [*MINE, "-k", "keys", "--partial"]
    assert first(GREEN, asked=allowed, narrowed=True) == "pytest claims --subject ./mine"


def test_what_was_lost_is_compared_once_it_is_kept():
    assert first(LOST, folder="out") == "claims compare tiny out"
    assert first(LOST, folder="out", baseline="before") == "claims compare before out"
    assert first(LOST) == "pytest claims --scorecard out"
    assert [c for c, _ in choose_next_steps(EndedRun(LOST, folder="out"))][1] == "claims bless out"
    assert first(GREEN, folder="out", baseline="before", lost=True) == "claims compare before out"


def test_a_run_of_some_claims_is_not_to_be_blessed():
    steps = choose_next_steps(EndedRun(LOST, folder="out", asked=MINE, narrowed=True))
    assert [c for c, _ in steps] == [
        "claims compare tiny out --partial",
        "pytest claims --subject ./mine",
    ]


def test_a_model_without_a_baseline_can_become_one():
    alone = card(record("p.1.a", verdict="refuted"))
    assert first(alone, asked=MINE) == "pytest claims --subject ./mine --scorecard out"
    assert first(alone, folder="out") == "pytest claims --subject ./later --baseline out"


def test_what_could_not_be_judged_is_tried_again():
    assert first(card(missing=[("p.1.a", "tiny")])) == "the same command again"
    broken = card(record("p.1.a"), record("p.1.b", verdict="error"))
    assert first(broken) == "pytest claims -k p.1.b"
    # One claim is not all that was sealed, and would be refused.
    sealed = ("claims", "--seal", "s.json", "--trials", "24")
    assert first(broken, asked=sealed) == "pytest claims --trials 24 -k p.1.b"
    wrong = card(record("p.1.b", "planted", "refuted", baseline="supported", control=True))
    assert first(wrong) == "pytest claims -k p.1.b"
    refused = EndedRun(GREEN, refusal="another seed", asked=MINE)
    assert choose_next_steps(refused)[0][0] == "pytest claims --subject ./mine --baseline none"


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("pytest claims -m control", "tox run -e controls"),
        ("pytest claims", "tox run -e claims"),
        ("pytest claims --subject ./checkpoint", "tox run -e claims -- --subject ./checkpoint"),
        ("the same command again", "the same command again"),
    ],
)
def test_in_a_tox_environment_the_command_is_one_of_tox(command, typed):
    assert spell_command(command, {"TOX_ENV_NAME": "claims"}) == typed


def test_a_program_that_is_not_on_the_path_is_named_with_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / ".tox" / "claims" / "bin"
    programs.mkdir(parents=True)
    (programs / "claims").write_text("#!/bin/sh\n")
    (programs / "claims").chmod(0o755)
    python = str(programs / "python")
    assert spell_command("claims bless out", {}, python) == ".tox/claims/bin/claims bless out"
    assert spell_command("claims bless out", {"PATH": str(programs)}, python) == "claims bless out"
    under_tox = {"PATH": str(programs), "TOX_ENV_NAME": "claims"}
    assert (
        spell_command("claims bless out", under_tox, python) == ".tox/claims/bin/claims bless out"
    )


def test_the_last_lines_say_where_every_verdict_is():
    assert tell_next_steps(
        EndedRun(GREEN, folder="out", embedded={"tiny"}), {"TOX_ENV_NAME": "claims"}
    ) == [
        "the verdict, with pictures: out/index.html (a table here: -v)",
        "next: tox run -e controls   models that have the mechanism, and some that lack it",
    ]


def test_the_next_command_keeps_every_option_of_this_one():
    asked = ("claims", "--subject", "my model", "--trials=24", "--store", "s", "-k", "a or b")
    alone = card(record("p.1.a", verdict="refuted"))
    kept = "pytest claims --subject 'my model' --trials=24 --store s"
    assert first(alone, asked=asked) == f"{kept} -k 'a or b' --scorecard out"
    assert first(alone, asked=asked, narrowed=True) == kept
    assert first(alone, asked=(*asked, "-kother"), narrowed=True) == kept
    assert first(alone, asked=("mine/test_a.py::test_b", "-x"), narrowed=True) == "pytest claims -x"
    again = EndedRun(alone, asked=("claims", "--baseline=before", "-v"), refusal="another seed")
    assert choose_next_steps(again)[0][0] == "pytest claims -v --baseline none"
    twice = (
        "claims/a.py",
        "--subject",
        "a",
        "--subject",
        "b",
        "-n",
        "2",
        "--seed",
        "2",
        "claims/b.py",
    )
    assert (
        first(alone, asked=twice, narrowed=True)
        == "pytest claims --subject a --subject b -n 2 --seed 2"
    )
    named = ("claims", "--subject", "claims", "--trials=24", "claims", "claims/a.py")
    assert first(alone, asked=named, narrowed=True) == "pytest claims --subject claims --trials=24"
    stopped = card(missing=[("p.1.a", "tiny")])
    assert first(stopped, asked=("claims", "-x")) == "the same command without -x"


def test_where_nothing_was_chosen_the_claims_are_listed():
    assert choose_next_steps(EndedRun(card())) == [
        ("claims list", "every claim; none was chosen here")
    ]
    assert len(tell_next_steps(EndedRun(card()))) == 1


def test_arguments_that_tox_adds_are_left_out_of_the_command():
    command = "pytest claims -n 2 --scorecard reports/runs/latest --trials 24"
    assert spell_command(command, {"TOX_ENV_NAME": "claims"}) == "tox run -e claims -- --trials 24"
    assert OF_TOX in (ROOT / "tox.ini").read_text()
