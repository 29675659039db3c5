"""Checkpoints whose parts do not fit, or that are not here, are refused in one line that says what to do."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from families import FAMILIES
from hub import cached

from harness.subjects.anatomy import ANATOMIES
from harness.subjects.fitting import CannotLoad
from harness.subjects.loading import load
from harness.subjects.registry import Entry, UnknownSubject, find, read_registry


@pytest.fixture
def copy(family_folders, tmp_path):
    return lambda family: shutil.copytree(family_folders[family], tmp_path / f"my-{family}")


def changed(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def entry(folder, family=None):
    return find(str(folder), read_registry(), family=family)


def hub(source, family="qwen2_vl"):
    return Entry("mine", family, source, "hub", revision="main")


def test_a_repository_that_is_not_here_says_how_to_get_it(offline):
    with pytest.raises(CannotLoad) as refusal:
        load(hub("someone/gated"))
    said = str(refusal.value)
    for part in (
        "mine: ",
        "accept its licence at https://huggingface.co/someone/gated",
        "`hf download someone/gated --local-dir FOLDER`",
        "`--subject FOLDER --dtype float32`",
        "HF_HOME",
    ):
        assert part in said
    assert "\n" not in said


def test_a_gated_repository_says_so(offline, monkeypatch):
    from transformers import AutoConfig

    def gated(*_, **__):
        raise OSError("You are trying to access a gated repo.\nMake sure to have access to it.")

    monkeypatch.setattr(AutoConfig, "from_pretrained", gated)
    with pytest.raises(CannotLoad, match=r"mine: You are trying to access a gated repo\..*licence"):
        load(hub("google/gated"))


def test_a_download_without_its_weights_says_how_to_get_them(offline, family_folders):
    snapshot = cached(offline, "someone/mine", family_folders["qwen2_vl"])
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(CannotLoad, match="hf download someone/mine"):
        load(hub("someone/mine"))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_checkpoint_of_another_family_is_refused(copy, family):
    other = "llava" if family != "llava" else "gemma3"
    with pytest.raises(CannotLoad, match=f"the checkpoint is of family {family}, not {other}"):
        load(entry(copy(family), other))


def test_the_language_model_alone_is_refused(copy):
    folder = copy("qwen3_vl")
    changed(folder / "config.json", architectures=["Qwen3ForCausalLM"])
    with pytest.raises(CannotLoad, match=r"names the architecture Qwen3ForCausalLM.*whole model"):
        load(entry(folder))


@pytest.mark.parametrize(
    ("family", "key", "size", "wanted"),
    [
        ("llava", "crop_size", {"height": 98, "width": 98}, 112),
        ("llava_onevision", "size", {"height": 112, "width": 112}, 56),
        ("gemma3", "size", {"height": 98, "width": 98}, 56),
        ("internvl", "size", {"height": 98, "width": 98}, 112),
        ("smolvlm", "max_image_size", {"longest_edge": 98}, 56),
    ],
)
def test_a_processor_of_another_image_size_is_refused(copy, family, key, size, wanted):
    folder = copy(family)
    changed(folder / "preprocessor_config.json", **{key: size})
    given = next(iter(size.values()))
    told = rf"gives images of {given}x{given} pixels.*takes {wanted}x{wanted}.*copy the processor's"
    with pytest.raises(CannotLoad, match=told):
        load(entry(folder))


def test_towers_that_take_any_size_are_not_asked_for_one():
    free = {"qwen2_vl", "qwen2_5_vl", "qwen3_vl", "idefics2", "pixtral"}
    assert {f for f, a in ANATOMIES.items() if not a.one_size} == free


@pytest.mark.parametrize(
    ("method", "advice"),
    [
        ("awq", "Install (autoawq|gptqmodel), or use"),
        ("gptq", "Install gptqmodel, or use"),
        ("magic", "No package that reads it is known here: use"),
    ],
)
def test_quantised_weights_without_their_library_name_it_if_it_is_known(copy, method, advice):
    folder = copy("llava")
    changed(
        folder / "config.json",
        quantization_config={"quant_method": method, "bits": 4, "group_size": 32},
    )
    with pytest.raises(CannotLoad) as refusal:
        load(entry(folder))
    said = str(refusal.value)
    assert f"the weights are quantised ({method}) and cannot be read here" in said
    assert re.search(rf"{advice} the checkpoint that is not quantised", said)


def test_a_model_type_that_nobody_knows_is_refused(copy):
    folder = copy("llava")
    changed(folder / "config.json", model_type="llava-nova")
    with pytest.raises(UnknownSubject, match="model type 'llava-nova' has no anatomy"):
        entry(folder)
    with pytest.raises(CannotLoad, match="my-llava: .*llava-nova"):
        load(entry(folder, "llava"))


def test_a_model_whose_code_is_in_its_repository_is_refused_unread(copy):
    folder = copy("llava")
    (folder / "evil.py").write_text("raise SystemExit('never run')")
    changed(folder / "config.json", model_type="nova", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(CannotLoad, match="my-llava: .*contains custom code"):
        load(entry(folder, "llava"))
