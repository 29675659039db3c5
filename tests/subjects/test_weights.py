"""Of the weights in a folder every file is read, or the folder is refused and the file named."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys

import pytest
from safetensors.torch import load_file, save_file

from harness.subjects.fitting import CannotLoad
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.weights import check_folder

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(checkpoints, tmp_path):
    """A copy of a checkpoint that a test may break."""
    return shutil.copytree(checkpoints["tiny-llava"], tmp_path / "mine")


@pytest.fixture
def sharded(folder):
    """The same checkpoint in two shards with their index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    write_shards(folder, tensors)
    return folder


def write_shards(folder, tensors, many=2):
    names = sorted(tensors)
    chosen = {}
    for k in range(many):
        file = f"model-{k + 1:05}-of-{many:05}.safetensors"
        part = {name: tensors[name] for name in names[k::many]}
        save_file(part, folder / file, metadata={"format": "pt"})
        chosen |= dict.fromkeys(part, file)
    write_index(folder, chosen)


def write_index(folder, chosen):
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": chosen}))


def read_index(folder):
    return json.loads((folder / INDEX).read_text())["weight_map"]


def entry(folder):
    return find(str(folder), read_registry())


def refuse(folder, told):
    """The message with which a folder is refused, before its weights are read and on loading alike."""
    with pytest.raises(CannotLoad) as refusal:
        check_folder("mine", folder)
    said = str(refusal.value)
    assert said.startswith("mine: ")
    assert len(said.splitlines()) == 1
    assert re.search(told, said), said
    with pytest.raises(CannotLoad):
        load(entry(folder))
    return said


def test_a_checkpoint_in_shards_is_loaded(sharded):
    check_folder("mine", sharded)
    assert load(entry(sharded)).layers == 8


def test_an_adapter_that_is_not_merged_is_refused(folder):
    tensors = {
        "base_model.model.lm_head.lora_A.weight": next(
            iter(load_file(folder / "model.safetensors").values())
        )
    }
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    save_file(tensors, folder / "adapter_model.safetensors")
    refuse(folder, r"adapter_config\.json.*adapter.*merge_and_unload")
    (folder / "adapter_config.json").unlink()
    refuse(folder, r"adapter_model\.safetensors.*adapter.*merge_and_unload")


def test_an_older_file_beside_newer_shards_is_refused(folder):
    write_shards(folder, load_file(folder / "model.safetensors"))
    refuse(folder, rf"model\.safetensors.*{INDEX}.*delete")


def test_older_shards_beside_a_newer_file_are_refused(sharded):
    tensors = {k: v for file in sharded.glob("*.safetensors") for k, v in load_file(file).items()}
    save_file(tensors, sharded / "model.safetensors", metadata={"format": "pt"})
    (sharded / INDEX).unlink()
    refuse(sharded, r"model-00001-of-00002\.safetensors.*model\.safetensors alone")


def test_shards_of_an_older_save_beside_those_of_the_index_are_refused(sharded):
    shutil.copy(
        sharded / "model-00001-of-00002.safetensors", sharded / "model-00001-of-00003.safetensors"
    )
    refuse(sharded, rf"model-00001-of-00003\.safetensors.*{INDEX}")


@pytest.mark.parametrize("stray", ["model.fp16.safetensors", "consolidated.safetensors"])
def test_other_weights_beside_those_that_are_loaded_are_refused(folder, stray):
    shutil.copy(folder / "model.safetensors", folder / stray)
    refuse(folder, rf"{re.escape(stray)}.*model\.safetensors alone.*out of the folder")


@pytest.mark.parametrize(
    "stray",
    [
        "pytorch_model.bin",
        "pytorch_model-00001-of-00002.bin",
        "mm_projector.bin",
        "non_lora_trainables.bin",
        "consolidated.00.pth",
        "model-q4.gguf",
        "tf_model.h5",
    ],
)
def test_weights_that_are_no_safetensors_are_refused_beside_those_that_are(folder, stray):
    (folder / stray).write_bytes(b"\x80\x04never read")
    refuse(folder, rf"{re.escape(stray)}.*out of the folder")


def test_the_state_of_a_training_is_no_weights(folder):
    for name in (
        "training_args.bin",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state_0.pth",
        "scaler.pt",
    ):
        (folder / name).write_bytes(b"\x80\x04never read")
    check_folder("mine", folder)
    assert load(entry(folder)).layers == 8


def test_a_shard_that_the_index_names_and_that_is_not_there_is_refused(sharded):
    (sharded / "model-00002-of-00002.safetensors").unlink()
    refuse(sharded, rf"{INDEX} names model-00002-of-00002\.safetensors.*not there.*copy")


def test_a_tensor_that_the_index_seeks_in_another_shard_is_refused(sharded):
    chosen = read_index(sharded)
    moved = sorted(chosen)[0]
    write_index(sharded, chosen | {moved: "model-00002-of-00002.safetensors"})
    said = refuse(sharded, r"model-00001-of-00002\.safetensors.*save")
    assert moved in said


def test_a_tensor_in_two_shards_is_refused(sharded):
    file = sharded / "model-00002-of-00002.safetensors"
    other = load_file(sharded / "model-00001-of-00002.safetensors")
    twice = sorted(other)[0]
    save_file(load_file(file) | {twice: other[twice] + 1}, file, metadata={"format": "pt"})
    said = refuse(sharded, r"model-00002-of-00002\.safetensors.*save")
    assert twice in said


def test_a_tensor_that_the_index_lists_and_no_shard_has_is_refused(sharded):
    write_index(
        sharded, read_index(sharded) | {"lm_head.other": "model-00001-of-00002.safetensors"}
    )
    refuse(sharded, r"lm_head\.other.*model-00001-of-00002\.safetensors.*save")


def test_shards_in_a_sub_folder_are_refused_in_words(sharded):
    (sharded / "weights").mkdir()
    for file in list(sharded.glob("*.safetensors")):
        file.rename(sharded / "weights" / file.name)
    write_index(sharded, {k: f"weights/{v}" for k, v in read_index(sharded).items()})
    refuse(sharded, rf"{INDEX} names weights/model-00001-of-00002\.safetensors.*sub-folder.*beside")
    (sharded / INDEX).unlink()
    refuse(sharded, r"weights/model-00001-of-00002\.safetensors.*name that folder")


def test_an_index_that_is_no_index_is_refused(sharded):
    (sharded / INDEX).write_text("{")
    refuse(sharded, rf"{INDEX} is not JSON")
    (sharded / INDEX).write_text("{}")
    refuse(sharded, rf"{INDEX}.*weight_map")


def test_a_pointer_of_git_lfs_is_not_taken_for_damaged_weights(folder):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    (folder / "model.safetensors").write_text(pointer)
    refuse(folder, r"model\.safetensors is a pointer of Git LFS.*git lfs pull")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_path_that_is_not_utf_8_is_told_as_what_it_is(folder):
    odd = os.fsdecode(os.fsencode(folder) + b"-\xff")
    folder.rename(odd)
    with pytest.raises(CannotLoad) as refusal:
        check_folder(type(folder)(odd).name, type(folder)(odd))
    assert re.search(r"mine-\\xff.*UTF-8.*rename", str(refusal.value))
    str(refusal.value).encode()


def test_a_folder_without_a_tokenizer_says_so(folder):
    (folder / "tokenizer.json").unlink()
    refuse(folder, r"no tokenizer.*tokenizer\.json.*copy")
