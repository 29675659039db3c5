"""The fingerprint of a subject is that of the files it was loaded from, and these stay as they were."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.experiments.arranging import arrange_subject
from harness.subjects import contents
from harness.subjects.contents import FolderChanged, mark_contents, take_fingerprint
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry


@pytest.fixture
def folder(checkpoints, tmp_path):
    """A copy of a checkpoint that a test may change."""
    return shutil.copytree(checkpoints["tiny-llava"], tmp_path / "mine")


def entry(folder):
    return find(str(folder), read_registry())


def change_weights(folder):
    """Other weights under the same name, as a later save leaves them."""
    tensors = {k: v + 1 for k, v in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "new.safetensors", metadata={"format": "pt"})
    (folder / "new.safetensors").replace(folder / "model.safetensors")


def test_weights_that_are_replaced_after_loading_do_not_change_the_fingerprint(folder):
    subject = load(entry(folder))
    before = subject.fingerprint
    assert before == take_fingerprint(entry(folder))
    change_weights(folder)
    arranged = arrange_subject(subject, subject.entry.arrangement)
    assert arranged.fingerprint == subject.fingerprint == before
    assert take_fingerprint(entry(folder)) != before


def test_weights_that_are_overwritten_in_place_do_not_change_a_loaded_model(folder):
    subject = load(entry(folder))
    before = {k: v.clone() for k, v in subject.model.state_dict().items()}
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(file.seek(0, os.SEEK_END) // 2)
        file.write(bytes(1000))
    after = subject.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_file_that_is_changed_is_told_by_name(folder, name):
    marked = mark_contents(folder)
    marked.check("mine")
    digest = marked.digest
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(FolderChanged, match=rf"mine: {name} .*changed.*copy"):
        marked.check("mine")
    assert marked.digest == digest != mark_contents(folder).digest


def test_files_that_come_and_go_are_told_by_name(folder):
    marked = mark_contents(folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(FolderChanged, match=r"adapter_config\.json"):
        marked.check("mine")
    marked = mark_contents(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(FolderChanged, match=r"adapter_config\.json"):
        marked.check("mine")
    shutil.rmtree(folder)
    with pytest.raises(FolderChanged):
        marked.check("mine")


def test_a_file_that_is_touched_or_copied_over_itself_is_the_same(folder):
    marked = mark_contents(folder)
    before = marked.digest
    path = folder / "model.safetensors"
    os.utime(path, (1, 1))
    content = path.read_bytes()
    (folder / "copy").write_bytes(content)
    (folder / "copy").replace(path)
    marked.check("mine")
    assert mark_contents(folder).digest == before


def test_files_that_no_loader_reads_may_change(folder):
    marked = mark_contents(folder)
    before = marked.digest
    for name in ("README.md", "trainer_state.json", "optimizer.pt", "run.log", ".cache"):
        (folder / name).write_text("anything")
    (folder / "checkpoint-500").mkdir()
    marked.check("mine")
    assert mark_contents(folder).digest == before


def test_large_files_are_read_once_in_a_process(folder, monkeypatch):
    read = []
    inner = hashlib.file_digest

    def counting(file, *how):
        read.append(os.path.basename(file.name))
        return inner(file, *how)

    monkeypatch.setattr(contents.hashlib, "file_digest", counting)
    asked = entry(folder)
    first = take_fingerprint(asked)
    subject = load(asked)
    mark_contents(folder).check("mine")
    assert arrange_subject(subject, "plain").fingerprint == first == take_fingerprint(asked)
    assert read.count("model.safetensors") == 1
    assert len(read) == len(set(read))


def test_a_file_that_changes_while_it_is_loaded_ends_the_loading(folder, monkeypatch):
    from harness.subjects import loading

    inner = loading.AutoTokenizer.from_pretrained

    def late(*args, **kwargs):
        change_weights(folder)
        return inner(*args, **kwargs)

    monkeypatch.setattr(loading.AutoTokenizer, "from_pretrained", late)
    with pytest.raises(FolderChanged, match=r"model\.safetensors"):
        load(entry(folder))


def test_a_seed_of_random_weights_and_a_variant_have_fingerprints_of_their_own(folder):
    asked = entry(folder)
    variants = [replace(asked, weights="random", seed=s) for s in (0, 1)]
    variants += [asked, replace(asked, misled="shuffled"), replace(asked, dtype="bfloat16")]
    assert len({take_fingerprint(v) for v in variants}) == len(variants)
