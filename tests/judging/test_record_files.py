"""Files of records are whole or the old ones, never half written, and named when they are damaged."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import order

from harness.judging.record import load_records, save_record
from harness.machine import files as module
from harness.machine.files import read_json, write_json


def test_json_keeps_its_order_and_its_letters(tmp_path):
    path = tmp_path / "new" / "folder" / "a.json"
    write_json(path, {"b": 1, "a": ["é", None, True, 0.1]})
    assert path.read_text("utf-8").startswith('{\n "b": 1,\n "a": [\n  "é",')
    assert read_json(path) == {"b": 1, "a": ["é", None, True, 0.1]}
    assert list(read_json(path)) == ["b", "a"]


def test_nan_is_never_written(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"new": math.nan})
    assert read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["fdopen", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, step, error
):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module.os, step, fail)
        with pytest.raises(type(error)):
            write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_data_is_on_disk_before_the_name_and_the_name_after(tmp_path, monkeypatch):
    steps = []
    fsync, rename = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        folder = os.path.isdir(f"/proc/self/fd/{descriptor}")
        steps.append("folder" if folder else "file")
        fsync(descriptor)

    def note_rename(source: object, target: object) -> None:
        steps.append("rename")
        assert json.loads(source.read_text()) == {"new": 2}
        rename(source, target)

    monkeypatch.setattr(module.os, "fsync", note_sync)
    monkeypatch.setattr(module.os, "replace", note_rename)
    write_json(tmp_path / "a.json", {"new": 2})
    assert len(steps) == 3
    if os.path.isdir("/proc/self/fd"):
        assert steps == ["file", "rename", "folder"]


def test_a_temporary_file_of_another_process_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(module.secrets, "token_hex", lambda size: "same")
    theirs = tmp_path / ".same.tmp"
    theirs.write_text("theirs")
    with pytest.raises(FileExistsError):
        write_json(tmp_path / "a.json", {"new": 2})
    assert theirs.read_text() == "theirs"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    old = save_record(tmp_path, order())
    before = old.read_bytes()
    script = f"""
import os, signal
from harness.machine.files import write_json
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_json({str(old)!r}, {{"new": "x" * 100000}})
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert old.read_bytes() == before
    # The half-written temporary file stays, which must not disturb the reader.
    assert len(os.listdir(tmp_path)) == 2
    assert load_records(tmp_path) == [order()]


@pytest.mark.parametrize("cut", [0, 1, 40, -2])
def test_a_truncated_file_is_named_with_what_to_do(tmp_path, cut):
    path = save_record(tmp_path, order())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"order\.json is not a whole JSON file.*delete it"):
        read_json(path)
    with pytest.raises(ValueError, match=r"order\.json"):
        load_records(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": "\xff"}'],
    ids=["NaN", "infinity", "not UTF-8"],
)
def test_a_file_that_is_not_strict_json_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is not a whole JSON file"):
        read_json(tmp_path / "a.json")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")


def test_records_are_kept_one_a_file_and_read_in_order(tmp_path):
    other = replace(order(), claim="a.b.c")
    made = [order(subject="0"), replace(other, subject="b"), replace(other, subject="a")]
    for one in made:
        save_record(tmp_path, one)
    assert (tmp_path / "0--visual_symbols.3.3.order.json").is_file()
    assert load_records(tmp_path) == [made[2], made[1], made[0]]


def test_saving_again_replaces(tmp_path):
    save_record(tmp_path, order())
    save_record(tmp_path, replace(order(), seed=7))
    assert [one.seed for one in load_records(tmp_path)] == [7]


def test_no_folder_means_no_records(tmp_path):
    assert load_records(tmp_path / "none") == []


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_no_name_of_a_subject_leaves_the_folder_or_meets_another(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("records")
    paths = {save_record(folder, replace(order(), subject=s)) for s in (name, f"../{name}")}
    assert len(paths) == 2
    assert {path.parent for path in paths} == {folder}
    assert {one.subject for one in load_records(folder)} == {name, f"../{name}"}


@pytest.mark.parametrize(
    "content",
    [
        {"schema": 2, "record": order().to_json()},
        {"record": {}},
        {"schema": 1},
        {"schema": 1, "record": {"claim": "a.b.c"}},
        [],
    ],
)
def test_a_file_that_is_no_record_of_this_schema_is_named(tmp_path, content):
    write_json(tmp_path / "a.json", content)
    with pytest.raises(ValueError, match=r"a\.json is not a record of schema 1"):
        load_records(tmp_path)
