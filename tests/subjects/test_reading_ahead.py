"""The next subject's weights are read ahead if they are here and fit into memory; nothing else is."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from harness.runs.options import Options
from harness.runs.run import Run
from harness.subjects import reading_ahead as ahead
from harness.subjects.reading_ahead import read_ahead
from harness.subjects.registry import Entry, find, read_registry


@pytest.fixture
def asked(monkeypatch):
    """The inodes of the files that the system is asked to read."""
    seen = []
    monkeypatch.setattr(
        ahead.os, "posix_fadvise", lambda file, *where: seen.append(os.fstat(file).st_ino)
    )
    return seen


@pytest.fixture
def entry(checkpoints):
    return find(str(checkpoints["tiny-llava"]), read_registry())


def test_the_weights_are_asked_for_and_nothing_else(entry, asked):
    weights = entry.folder / "model.safetensors"
    assert read_ahead(entry) == weights.stat().st_size
    assert asked == [weights.stat().st_ino]


def test_what_does_not_fit_or_is_not_read_or_is_not_here_is_not_asked_for(
    entry, asked, monkeypatch, tmp_path
):
    assert read_ahead(replace(entry, weights="random")) == 0
    hub = Entry("mine", "llava", "someone/mine", "hub", revision="main")
    assert read_ahead(hub) == 0
    assert read_ahead(replace(entry, source=str(tmp_path / "nowhere"))) == 0
    monkeypatch.setattr(ahead, "SHARE", 0.0)
    assert read_ahead(entry) == 0
    assert asked == []


def test_while_one_subject_is_measured_the_next_is_read(entry, asked, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    other = shutil.copytree(entry.folder, tmp_path / "other")
    names = (str(entry.folder), str(other))
    options = Options(subjects=names, baseline="none", store=tmp_path / "s", records=tmp_path / "r")
    run = Run(options, lambda line: None)
    first, second = run.entries
    run.holder(first)
    assert asked == [(other / "model.safetensors").stat().st_ino]
    run.holder(second)
    assert len(asked) == 1
