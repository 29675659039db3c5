"""Every mistake of the list is found by the tests it names; and the runner does not flatter them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness.calibration import copies
from harness.calibration.copies import Copy, RanTests, UnsoundTests
from harness.calibration.mutants import Mutant, StaleMutant, check_mutant, check_mutants, mutants
from harness.machine.files import ROOT

HARMLESS = Mutant(
    name="harmless",
    file="harness/judging/verdict.py",
    old="# Absence in a handful of scenes is no better founded",
    new="# Absence that was seen in a handful of scenes is no better founded",
    why="Nothing: it is a comment.",
    tests=("tests/judging/test_verdict.py::test_the_interval_decides",),
)
FIELDS = 'file = "f"\nold = "a"\nnew = "b"\nwhy = "w"\n'


@pytest.mark.deep
def test_every_mutant_is_caught():
    survivors = [str(result) for result in check_mutants() if not result.caught]
    assert not survivors


@pytest.mark.deep
def test_a_mutant_that_fails_no_test_is_not_caught():
    unreadable = replace(
        HARMLESS,
        name="unreadable",
        file="harness/measures/mediation.py",
        old="import numpy as np\n",
        new="import a_module_that_is_not_there\n",
        tests=("tests/measures/test_mediation.py",),
    )
    harmless, broken = check_mutants([HARMLESS, unreadable])
    assert (harmless.caught, broken.caught) == (False, False)
    assert str(harmless).startswith("harmless: NOT CAUGHT, pytest's status is 0")
    assert re.match("unreadable: NOT CAUGHT, pytest.s status is [2-5]", str(broken))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# This comment is gone", "#", "found 0 times in harness/judging/verdict.py"),
        ("import", "import", r"found \d\d? times"),
        ("if low > limit if", "if low > > limit if", "no longer Python"),
    ],
)
def test_a_stale_mutant_is_an_error(old, new, message):
    with pytest.raises(StaleMutant, match=f"'harmless'.*{message}"):
        check_mutant(replace(HARMLESS, old=old, new=new))


@pytest.mark.deep
def test_tests_that_do_not_exist_are_an_error():
    with pytest.raises(UnsoundTests, match="with nothing broken, pytest's status is 4"):
        check_mutant(replace(HARMLESS, tests=("tests/judging/test_verdict.py::test_of_nothing",)))


@pytest.fixture
def copy(tmp_path):
    with Copy(tmp_path / "copy") as made:
        yield made


@pytest.mark.deep
def test_tests_that_never_end_are_given_up_and_the_next_ones_run(copy, monkeypatch):
    (copy.folder / "tests" / "test_endless.py").write_text(
        "import time\ndef test_endless(): time.sleep(600)\ndef test_short(): assert 0, 'short'\n"
    )
    copy.run(HARMLESS.tests)
    monkeypatch.setattr(copies, "LONGEST", 1.0)
    endless = copy.run(["tests/test_endless.py::test_endless"])
    assert (endless.status, endless.printed) == (None, "killed, or still running after 1 s")
    monkeypatch.undo()
    short = copy.run(["tests/test_endless.py::test_short"])
    assert short.failed == ("tests/test_endless.py::test_short",)


@pytest.mark.deep
def test_each_run_tests_the_code_as_it_is_at_that_time(copy):
    for text, status in (("assert 0", 1), ("assert 1", 0), ("assert 0", 1)):
        (copy.folder / "tests" / "test_now.py").write_text(f"def test_now(): {text}\n")
        assert copy.run(["tests/test_now.py"]).status == status


@pytest.mark.deep
def test_another_harness_is_not_taken_for_the_copy(copy):
    (copy.folder / "harness").rename(copy.folder.parent / "moved")
    (copy.folder / "harness").symlink_to(ROOT / "harness")
    with pytest.raises(UnsoundTests, match="another harness"):
        copy.run(HARMLESS.tests)


def test_a_changed_copy_is_restored_after_an_error(copy):
    path = copy.folder / HARMLESS.file
    before = path.read_text()

    def fail():
        with copy.changed(HARMLESS.file, "other"):
            raise KeyError(path.read_text())

    with pytest.raises(KeyError, match="other"):
        fail()
    assert path.read_text() == before == (ROOT / HARMLESS.file).read_text()


def test_only_a_whole_repository_is_copied(tmp_path):
    with pytest.raises(UnsoundTests, match="has no harness, tests, claims"):
        Copy(tmp_path / "copy", root=tmp_path)


@pytest.mark.parametrize("status", [0, 2, 3, 4, 5, None])
def test_only_tests_that_ran_can_fail(status):
    printed = "FAILED tests/a.py::test_b[c, d] - assert 1 == 2\n1 failed"
    assert RanTests(1, printed).failed == ("tests/a.py::test_b[c, d]",)
    assert RanTests(status, printed).failed == ()
    assert RanTests(1, "ERROR tests/a.py::test_b - KeyError").failed == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'[[mutant]]\nname = "a"\n{FIELDS}', "mutant a: 'tests'"),
        (f'[[mutant]]\nname = "a"\n{FIELDS}tests = []', "mutant a: no tests"),
        (f'[[mutant]]\nname = "a"\n{FIELDS}tests = ["t"]\nby = 1', "mutant a: .*'by'"),
        (f'[[mutant]]\n{FIELDS}tests = ["t"]', "mutant 1: .*'name'"),
        (2 * f'[[mutant]]\nname = "a"\n{FIELDS}tests = ["t"]\n', "mutant a: another"),
    ],
)
def test_a_mistake_in_the_list_names_the_mutant(tmp_path, text, message):
    path = tmp_path / "mutants.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"mutants.toml: {message}"):
        mutants(path)
