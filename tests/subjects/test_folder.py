"""The arrangement and the dtype of a folder, read before it is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import chats
import pytest
import torch
from families import FAMILIES, loaded
from safetensors.torch import load_file, save_file

from harness.subjects.contents import take_fingerprint
from harness.subjects.folder import find_dtype, find_template_in
from harness.subjects.loading import CannotLoad, load
from harness.subjects.registry import UnknownSubject, find, read_registry
from harness.subjects.weights import check_folder

REGISTRY = read_registry()

NAMED = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": chats.QWEN}]

PLACES = {
    "chat_template.jinja": chats.QWEN,
    "chat_template.json": json.dumps({"chat_template": chats.QWEN}),
    "processor_config.json": json.dumps({"chat_template": chats.QWEN}),
    "tokenizer_config.json": {"chat_template": chats.QWEN},
    "tokenizer_config.json, by name": {"chat_template": NAMED},
    "processor_config.json, by name": json.dumps(
        {"chat_template": dict(default=chats.QWEN, x="x")}
    ),
    "additional_chat_templates/default.jinja": chats.QWEN,
}


@pytest.fixture
def bare(family_folders, tmp_path):
    """A copy of a checkpoint without a chat template."""
    folder = shutil.copytree(family_folders["qwen3_vl"], tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    return folder


def put(folder, place, content):
    path = folder / place.partition(",")[0]
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content)
    path.write_text(content)


def found(folder):
    return find(str(folder), REGISTRY)


@pytest.mark.parametrize("place", PLACES)
def test_a_folder_with_a_template_is_asked_as_it_answers_better(bare, place):
    put(bare, place, PLACES[place])
    assert found(bare).arrangement == "auto"
    # What is read before loading is what is used after.
    assert find_template_in(bare) == loaded(bare).tokenizer.chat_template == chats.QWEN


def test_a_folder_without_a_template_is_asked_plainly(bare):
    assert found(bare).arrangement == "plain"
    assert find_template_in(bare) is loaded(bare).tokenizer.chat_template is None


@pytest.mark.parametrize(
    "content",
    [
        {"tokenizer_config.json": {"chat_template": NAMED[:1]}},
        {"tokenizer_config.json": {"chat_template": ""}},
        {"chat_template.jinja": ""},
        {"processor_config.json": json.dumps({"chat_template": None})},
        # Template files of the tokenizer replace its configuration, and neither template is used unless named.
        {"tokenizer_config.json": {"chat_template": "x"}, "additional_chat_templates/a.jinja": "a"},
    ],
)
def test_a_template_that_must_be_asked_for_by_name_does_not_count(bare, content):
    for place, text in content.items():
        put(bare, place, text)
    assert found(bare).arrangement == "plain"
    assert not loaded(bare).tokenizer.chat_template


@pytest.mark.parametrize("more", ["chat_template.json", "processor_config.json"])
def test_a_processors_template_goes_before_the_tokenizers_and_a_file_of_both_before_it(bare, more):
    put(bare, "additional_chat_templates/default.jinja", "tokenizer's")
    put(bare, more, json.dumps({"chat_template": "processor's"}))
    assert find_template_in(bare) == loaded(bare).tokenizer.chat_template == "processor's"
    (bare / "additional_chat_templates" / "default.jinja").unlink()
    put(bare, "chat_template.jinja", "of both")
    assert find_template_in(bare) == loaded(bare).tokenizer.chat_template == "of both"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("chat_template.json", b"{", "chat_template.json is not JSON"),
        ("config.json", b"[]", "config.json has no named fields"),
        ("chat_template.jinja", b"\xff", "chat_template.jinja is not text"),
    ],
    ids=["not JSON", "no fields", "not text"],
)
def test_a_damaged_file_is_named(bare, name, content, said):
    (bare / name).write_bytes(content)
    with pytest.raises(UnknownSubject, match=said):
        found(bare)


def test_a_folder_is_asked_as_the_registrys_entry_of_the_same_model(family_folders):
    """Otherwise a downloaded copy would give other verdicts than the model by its name."""
    hub = [entry for entry in REGISTRY.values() if entry.kind == "hub"]
    assert {entry.family for entry in hub} == set(FAMILIES)
    for entry in hub:
        folder = found(family_folders[entry.family])
        assert (folder.family, folder.arrangement) == (entry.family, entry.arrangement), entry.name
    # What the models of a family leave to their chat template, LLaVA-1.5's do not.
    plain = {entry.name for entry in hub if entry.arrangement == "plain"}
    assert plain == {"llava-1.5-7b", "llava-1.5-13b"}


def stored(folder, *files):
    """Write weights into a folder: each file is a mapping from dtype to numbers of parameters."""
    folder.mkdir()
    for i, sizes in enumerate(files):
        tensors = {
            f"t{dtype}{j}": torch.ones(n, dtype=dtype) for dtype, n in sizes.items() for j in (0, 1)
        }
        save_file(tensors, folder / f"model-{i}.safetensors")
    return find_dtype(folder)


def test_the_dtype_is_that_of_most_parameters_of_all_files(tmp_path):
    half, single, integer = torch.bfloat16, torch.float32, torch.int64
    assert stored(tmp_path / "one", {half: 3}) == "bfloat16"
    assert stored(tmp_path / "norms", {half: 8, single: 2, integer: 50}) == "bfloat16"
    assert stored(tmp_path / "files", {half: 3}, {single: 4}) == "float32"
    assert stored(tmp_path / "tie", {half: 4, torch.float16: 4}) == "float16"
    assert stored(tmp_path / "eighth", {torch.float8_e4m3fn: 9, half: 4}) == "F8_E4M3"
    assert stored(tmp_path / "double", {torch.float64: 9, half: 4}) == "float64"
    assert stored(tmp_path / "packed", {torch.uint8: 9}) == ""
    assert stored(tmp_path / "nothing") == ""


@pytest.mark.parametrize(
    ("dtype", "taken"),
    [
        (torch.bfloat16, "bfloat16"),
        (torch.float16, "float16"),
        (torch.float32, "float32"),
        (torch.float64, "float32"),
        (torch.float8_e5m2, "float32"),
    ],
)
def test_a_checkpoint_is_loaded_in_the_dtype_of_its_weights(bare, dtype, taken):
    path = bare / "model.safetensors"
    tensors = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in load_file(path).items()
    }
    save_file(tensors, path, metadata={"format": "pt"})
    assert found(bare).dtype == taken
    assert load(found(bare)).model.dtype is getattr(torch, taken)


def test_missing_and_damaged_weights_are_refused_on_loading(bare):
    path = bare / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    assert found(bare).dtype == "float32"
    with pytest.raises(CannotLoad, match="damaged or cut short"):
        check_folder("bare", bare)
    path.unlink()
    assert found(bare).dtype == "float32"
    with pytest.raises(CannotLoad, match="no .safetensors in"):
        check_folder("bare", bare)


def test_a_folder_is_read_without_torch(bare):
    program = f"""
import sys
from harness.subjects.registry import find, read_registry
entry = find({str(bare)!r}, read_registry())
assert (entry.dtype, entry.arrangement) == ("float32", "plain")
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_template_of_a_folder_is_part_of_its_fingerprint(bare):
    """Also one in a sub-folder: with another template other tokens are asked."""

    def fingerprint():
        return take_fingerprint(find(str(bare), REGISTRY))

    before = fingerprint()
    template = bare / "additional_chat_templates" / "default.jinja"
    template.parent.mkdir()
    template.write_text(chats.QWEN)
    with_template = fingerprint()
    template.write_text(chats.QWEN + " ")
    assert len({before, with_template, fingerprint()}) == 3
