"""The folder of a scorecard: one run has it at a time, and what was there before is gone at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness.judging.state import Unfinished
from harness.reporting.scorecard import Scorecard
from harness.runs import folder as folders
from harness.runs.baselines import BadOption
from harness.runs.folder import ScorecardFolder

COMMAND = "pytest claims --subject './a model' --scorecard out"


@pytest.fixture
def begun(tmp_path):
    """A folder that a run has begun."""
    folder = ScorecardFolder(tmp_path / "out")
    folder.begin(COMMAND)
    yield folder
    folder.release()


def test_the_scorecard_of_a_run_that_has_begun_cannot_be_read(begun):
    content = json.loads((begun.path / "scorecard.json").read_text())
    with pytest.raises(Unfinished) as refused:
        Scorecard.from_json(content)
    assert f"has not finished (begun {content['run']['started']} by `{COMMAND}`" in str(
        refused.value
    )


def test_another_run_is_refused_and_told_which_one_has_the_folder(begun):
    kept = (begun.path / "scorecard.json").read_bytes()
    with pytest.raises(BadOption) as refused:
        ScorecardFolder(begun.path).begin("pytest")
    assert f"--scorecard {begun.path}: another run is writing into this folder" in str(
        refused.value
    )
    assert COMMAND in str(refused.value)
    assert (begun.path / "scorecard.json").read_bytes() == kept
    begun.release()
    after = ScorecardFolder(begun.path)
    after.begin("pytest")
    after.release()


def test_a_killed_run_does_not_keep_the_folder(tmp_path):
    """The lock is the system's, not a file that outlives the process."""
    kills = (
        "import os, pathlib, harness.runs.folder as f\n"
        f"folder = f.ScorecardFolder(pathlib.Path({str(tmp_path)!r}))\n"
        "folder.begin('pytest killed')\nos.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", kills]).returncode == -9
    assert "killed" in (tmp_path / "scorecard.json").read_text()
    after = ScorecardFolder(tmp_path)
    after.begin("pytest again")
    after.release()


def test_what_an_earlier_run_left_is_gone_but_nothing_of_the_users(tmp_path):
    old = (
        "index.html",
        "scorecard.evidence.json.gz",
        "records/run-0a/x.json",
        ".0123456789abcdef.tmp",
    )
    own = ("notes.md", "records/mine.json", "figures/a.svg")
    for name in (*old, *own):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folder = ScorecardFolder(tmp_path)
    folder.begin("pytest")
    folder.release()
    assert [name for name in old if (tmp_path / name).exists()] == []
    assert [name for name in own if not (tmp_path / name).exists()] == []


def test_a_worker_that_outlives_a_killed_run_writes_elsewhere(tmp_path):
    assert ScorecardFolder(tmp_path).records != ScorecardFolder(tmp_path).records


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    class NoLocks:
        def __init__(self, *_, **__): ...
        def acquire(self, **_):
            raise NotImplementedError

        def release(self): ...

    monkeypatch.setattr(folders, "FileLock", NoLocks)
    said = []
    ScorecardFolder(tmp_path, said.append).begin("pytest")
    assert said == [
        f"{tmp_path} cannot be locked: make sure that no other run writes into this folder"
    ]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadOption, match="cannot write the scorecard to .*name another folder"):
        ScorecardFolder(tmp_path / "file").begin("pytest")
