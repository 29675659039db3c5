"""Two subjects judged alike, one after the other: which, on which claims, and what is refused before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.cli.main import main
from harness.machine.files import ROOT
from harness.runs import both_sides
from harness.runs.baselines import BadOption
from harness.runs.both_sides import find_files, find_sides, list_arguments, run_sides
from harness.subjects.registry import UnknownSubject, find, read_registry

REGISTRY = read_registry()


@pytest.fixture
def ran(monkeypatch):
    """The command lines of the runs, none of which is made; the status of each is put out of a list."""
    commands, statuses = [], []

    def run(command):
        commands.append(command)
        return SimpleNamespace(returncode=statuses.pop(0) if statuses else 0)

    monkeypatch.setattr(both_sides.subprocess, "run", run)
    return SimpleNamespace(commands=commands, statuses=statuses)


def test_a_checkpoint_is_compared_with_itself_in_another_precision():
    before, after = find_sides("planted", quantised="int8", merged=None)
    assert (before.name, after.name, after.quantised) == ("planted", "planted:int8", "int8")


def test_a_base_is_compared_with_what_was_made_of_it(checkpoints):
    before, after = find_sides("tiny-llava", quantised=None, merged=str(checkpoints["tiny-llava"]))
    assert (before.name, after.kind) == ("tiny-llava", "local")


@pytest.mark.parametrize(
    ("quantised", "merged", "told"),
    [
        (None, "planted", "planted and planted are the same"),
        (None, "planted-qwen", "planted-qwen is of family qwen2_vl and planted of llava"),
        (None, "./nowhere", "unknown subject './nowhere'"),
    ],
)
def test_what_is_no_version_of_the_other_is_refused(quantised, merged, told):
    with pytest.raises((BadOption, UnknownSubject), match=told):
        find_sides("planted", quantised=quantised, merged=merged)


def test_a_section_is_the_files_with_its_claims():
    assert find_files([]) == [str(ROOT / "claims")]
    [file] = find_files(["3.4"])
    assert file.endswith("claims/visual_symbols/test_3_4_mediation.py")
    with pytest.raises(BadOption, match=r"--section 3\.9: no claims"):
        find_files(["3.4", "3.9"])


@pytest.mark.parametrize(
    ("end", "more", "dtype"),
    [
        ("", [], ["--dtype", "float32"]),
        (":int8", [], ["--dtype", "float32"]),
        (":bfloat16", [], []),
        (":int8", ["--dtype", "float16"], ["--dtype", "float16"]),
        ("", ["--dtype=float16"], ["--dtype=float16"]),
    ],
)
def test_a_checkpoint_is_judged_in_float32_however_it_is_stored(
    checkpoints, tmp_path, end, more, dtype
):
    name = f"{checkpoints['tiny-llava']}{end}"
    found = list_arguments(find(name, REGISTRY), name, tmp_path, ["claims"], more)
    assert found[:3] == ["claims", "--subject", name]
    assert [a for a in found if "dtype" in a or a.startswith("float")] == dtype
    shipped = list_arguments(REGISTRY["planted"], "planted", tmp_path, ["claims"], [])
    assert "--dtype" not in shipped, "its verdicts were found in its own"


def test_both_sides_are_asked_the_same_into_folders_of_their_own(ran, tmp_path):
    sides = [(find(n, REGISTRY), n) for n in ("planted", "planted:nf4")]
    made = run_sides(sides, tmp_path / "out", ["some.py"], ["--trials", "20"])
    assert made == [tmp_path / "out" / "before", tmp_path / "out" / "after"]
    one, other = ran.commands
    assert [a for a, b in zip(one, other, strict=True) if a != b] == ["planted", str(made[0])]
    assert one[-2:] == ["--trials", "20"]
    assert "none" in one, "no baseline decides"
    left = run_sides(sides, None, ["some.py"], [])
    assert left[0].parent.parent == both_sides.COMPARED


def test_a_run_that_judged_nothing_ends_the_comparison(ran, tmp_path, capsys):
    ran.statuses += [1, 4]
    arguments = [
        "compare",
        "planted",
        "--quantised",
        "nf4",
        "--into",
        str(tmp_path),
        "--section",
        "3.4",
    ]
    assert main(arguments) == 2
    assert "the run of planted:nf4 ended with status 4" in capsys.readouterr().err
    assert len(ran.commands) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["planted"], "name two scorecards, or one subject"),
        (["planted", "other", "--quantised", "int8"], "name two scorecards, or one subject"),
        (["planted:int8", "--quantised", "nf4"], "planted:int8 is served in int8"),
        (["planted", "--quantised", "int8", "--margin", "2"], "must be above 0 and below 1"),
        (["planted", "--quantised", "int8", "--section", "9"], "no claims"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_anything_runs(ran, arguments, told, capsys):
    assert main(["compare", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not ran.commands


def test_an_unknown_precision_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "planted", "--quantised", "int4"])
    assert "bfloat16" in capsys.readouterr().err
