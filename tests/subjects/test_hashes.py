"""The hash of a file is kept from one process to the next, for as long as the file is the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time

import pytest

from harness.subjects import contents
from harness.subjects.contents import FolderChanged, mark_contents
from harness.subjects.hashes import KeptHashes


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read, in this order; files count as settled after 20 ms."""
    names, inner = [], hashlib.file_digest

    def counting(file, *how):
        names.append(os.path.basename(file.name))
        return inner(file, *how)

    monkeypatch.setattr(contents.hashlib, "file_digest", counting)
    monkeypatch.setattr(contents, "SETTLED", 20_000_000)
    return names


@pytest.fixture
def folder(tmp_path):
    """A small folder of three files, one of which has a name that is not UTF-8."""
    made = tmp_path / "mine"
    made.mkdir()
    for name in ("config.json", "model.safetensors", os.fsdecode(b"a\xff.json")):
        (made / name).write_bytes(name.encode(errors="surrogateescape"))
    return made


def hash_anew(folder, kept, say=lambda line: None):
    """The digest of a folder as a process finds it that has hashed nothing yet."""
    contents._HASHED.clear()
    marked = mark_contents(folder)
    KeptHashes(kept, say).hash_contents(marked)
    return marked.digest


def settle():
    time.sleep(0.05)


def test_a_later_process_reads_nothing_and_finds_the_same(folder, tmp_path, read):
    settle()
    first = hash_anew(folder, tmp_path / "kept")
    assert sorted(read) == sorted(os.listdir(folder))
    assert hash_anew(folder, tmp_path / "kept") == first
    assert len(read) == 3
    contents._HASHED.clear()
    assert mark_contents(folder).digest == first
    assert len(read) == 6


def replaced(path):
    """Another file under the same name, of the same size and time."""
    before = path.stat()
    path.with_name("new").write_bytes(b"x" * before.st_size)
    os.utime(path.with_name("new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_name("new").replace(path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def overwritten(path):
    """Other bytes in the same file, with its size and the time of its writing as before."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino


def grown(path):
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize("change", [replaced, overwritten, grown])
def test_a_file_that_changed_is_read_again_and_the_others_are_not(folder, tmp_path, read, change):
    settle()
    first = hash_anew(folder, tmp_path / "kept")
    read.clear()
    change(folder / "model.safetensors")
    settle()
    assert hash_anew(folder, tmp_path / "kept") != first
    assert read == ["model.safetensors"]


def test_a_file_that_was_touched_is_read_again_and_is_the_same(folder, tmp_path, read):
    settle()
    first = hash_anew(folder, tmp_path / "kept")
    read.clear()
    os.utime(folder / "config.json", (1, 1))
    settle()
    assert hash_anew(folder, tmp_path / "kept") == first
    assert read == ["config.json"]


def test_a_file_that_was_written_just_before_it_was_read_is_read_again(
    folder, tmp_path, read, monkeypatch
):
    monkeypatch.setattr(contents, "SETTLED", 60_000_000_000)
    first = hash_anew(folder, tmp_path / "kept")
    assert hash_anew(folder, tmp_path / "kept") == first
    assert len(read) == 6


def test_a_file_that_is_replaced_during_the_run_is_told_though_its_hash_was_kept(
    folder, tmp_path, read
):
    settle()
    hash_anew(folder, tmp_path / "kept")
    contents._HASHED.clear()
    marked = mark_contents(folder)
    KeptHashes(tmp_path / "kept").hash_contents(marked)
    replaced(folder / "model.safetensors")
    with pytest.raises(FolderChanged, match=r"mine: model\.safetensors is another"):
        marked.check("mine")
    os.utime(folder / "config.json", (1, 1))
    late = mark_contents(folder)
    replaced(folder / "config.json")
    with pytest.raises(FolderChanged, match=r"config\.json changed while it was read"):
        KeptHashes(tmp_path / "kept").hash_contents(late)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"files": {"config.json": {"mark": [1], "sha256": "zz"}}}']
)
def test_what_is_damaged_is_hashed_again_and_kept_again(folder, tmp_path, read, content):
    settle()
    first = hash_anew(folder, tmp_path / "kept")
    [kept] = (tmp_path / "kept").glob("*.json")
    whole = json.loads(kept.read_text())
    kept.write_text(content)
    assert hash_anew(folder, tmp_path / "kept") == first
    assert json.loads(kept.read_text()) == whole
    assert len(read) == 6


def test_folders_have_hashes_of_their_own(folder, tmp_path, read):
    other = tmp_path / "other" / "mine"
    shutil.copytree(folder, other)
    settle()
    assert hash_anew(folder, tmp_path / "kept") == hash_anew(other, tmp_path / "kept")
    assert len(read) == 6


def test_hashes_that_cannot_be_kept_cost_time_and_a_line(folder, tmp_path, read, monkeypatch):
    settle()
    said = []

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.subjects.hashes.os.replace", full)
    first = hash_anew(folder, tmp_path / "kept", said.append)
    assert "No space left on device" in said[0]
    assert not list(tmp_path.rglob("*.tmp"))
    assert hash_anew(folder, tmp_path / "kept") == first


def test_of_several_at_once_one_reads_and_the_others_wait(folder, tmp_path, read):
    settle()
    contents._HASHED.clear()
    made = [mark_contents(folder) for _ in range(4)]
    runs = [
        threading.Thread(target=KeptHashes(tmp_path / "kept").hash_contents, args=[marked])
        for marked in made
    ]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert len({marked.digest for marked in made}) == 1
    assert len(read) == 3
