"""Weights that are stored in half precision are sent as they are, and give what loading in float32 gives."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from families import FAMILIES
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, PreTrainedModel

from harness.subjects.fitting import CannotLoad
from harness.subjects.loading import load
from harness.subjects.placing import choose_loaded_dtype
from harness.subjects.registry import find, read_registry


@pytest.fixture
def halved(family_folders, tmp_path):
    """A function that gives a copy of a family's checkpoint, stored in a half precision."""

    def make(family, dtype=torch.bfloat16):
        folder = shutil.copytree(family_folders[family], tmp_path / f"my-{family}")
        rewrite(folder, lambda name, held: held.to(dtype))
        config = json.loads((folder / "config.json").read_text())
        config["dtype"] = str(dtype).removeprefix("torch.")
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


def rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: change(name, held) for name, held in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def widened(folder):
    return load(replace(find(str(folder), read_registry()), dtype="float32"))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_number_of_a_widened_model_is_that_of_one_loaded_in_float32(halved, family):
    folder = halved(family)
    ours = widened(folder).model
    theirs = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    for of in (PreTrainedModel.named_parameters, PreTrainedModel.named_buffers):
        found, wanted = dict(of(ours)), dict(of(theirs))
        assert found.keys() == wanted.keys()
        for name, held in wanted.items():
            assert found[name].dtype == held.dtype, name
            assert torch.equal(found[name], held), name
    assert ours.config.dtype == ours.config.get_text_config().dtype == torch.float32
    assert ours.config.vision_config.dtype == torch.float32


@pytest.fixture
def sent(monkeypatch):
    """The dtypes of the parameters of each model that is sent to a device."""
    seen, send = [], PreTrainedModel.to

    def watched(self, *where, **how):
        seen.append({p.dtype for p in self.parameters()})
        return send(self, *where, **how)

    monkeypatch.setattr(PreTrainedModel, "to", watched)
    return seen


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_sent_in_the_dtype_in_which_they_are_stored(halved, sent, dtype):
    assert widened(halved("qwen2_vl", dtype)).model.dtype == torch.float32
    assert sent == [{dtype}]


def test_where_one_tensor_is_of_another_dtype_nothing_is_rounded(halved, sent):
    folder = halved("qwen2_vl")
    exact = {}

    def keep(name, held):
        if name.endswith("norm.weight"):
            exact[name] = held.float() + 1e-5
        return exact.get(name, held)

    rewrite(folder, keep)
    held = {float(p.view(-1)[0]) for p in widened(folder).model.parameters()}
    assert sent == [{torch.float32}]
    assert {float(e.view(-1)[0]) for e in exact.values()} <= held


def test_other_dtypes_and_files_that_are_not_here_are_loaded_as_asked(halved, tmp_path):
    folder = halved("llava")
    assert choose_loaded_dtype(folder, torch.float32) is torch.bfloat16
    assert choose_loaded_dtype(folder, torch.float16) is torch.float16
    assert choose_loaded_dtype(folder, torch.bfloat16) is torch.bfloat16
    assert choose_loaded_dtype(tmp_path, torch.float32) is torch.float32
    assert choose_loaded_dtype(None, torch.float32) is torch.float32


@pytest.mark.parametrize("broken", [float("inf"), float("nan")])
def test_a_number_that_is_not_finite_is_refused_by_its_parameter(halved, broken):
    folder = halved("qwen2_vl")

    def spoil(name, held):
        if name.endswith("layers.2.mlp.up_proj.weight"):
            held[1, 2] = broken
        return held

    rewrite(folder, spoil)
    with pytest.raises(
        CannotLoad, match=r"parameter .*layers\.2\.mlp\.up_proj\.weight is not finite"
    ):
        widened(folder)


def test_weights_that_overflow_in_the_dtype_that_is_asked_for_are_refused(halved):
    folder = halved("qwen2_vl")
    rewrite(folder, lambda name, held: held * (1e6 if name.endswith("up_proj.weight") else 1))
    with pytest.raises(CannotLoad, match=r"up_proj\.weight is not finite"):
        load(replace(find(str(folder), read_registry()), dtype="float16"))
