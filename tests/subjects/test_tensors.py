"""Every tensor of a checkpoint is used by the model that is loaded, or refused by its name."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from families import FAMILIES
from hub import cached
from safetensors.torch import load_file, save_file

from harness.subjects.fitting import CannotLoad
from harness.subjects.loading import load
from harness.subjects.registry import Entry, find, read_registry


@pytest.fixture
def copy(family_folders, tmp_path):
    return lambda family: shutil.copytree(family_folders[family], tmp_path / f"my-{family}")


@pytest.fixture
def folder(copy):
    """A LLaVA with random weights that a test may break."""
    return copy("llava")


def tensors_of(folder):
    return load_file(folder / "model.safetensors")


def rewrite(folder, tensors):
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def configure(folder, **text):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= text
    (folder / "config.json").write_text(json.dumps(config))


def named(tensors, ending):
    return next(name for name in tensors if name.endswith(ending))


def entry(folder):
    return find(str(folder), read_registry())


def refuse(folder, told):
    with pytest.raises(CannotLoad) as refusal:
        load(entry(folder))
    said = str(refusal.value)
    assert said.startswith("my-")
    assert len(said.splitlines()) == 1
    assert re.search(told, said), said
    return said


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_tensor_that_no_module_uses_is_refused_in_every_family(copy, family):
    folder = copy(family)
    load(entry(folder))
    rewrite(folder, tensors_of(folder) | {"probe.head.weight": torch.ones(3, 2)})
    said = refuse(folder, r"model\.safetensors.*probe\.head\.weight.*no part of the model")
    assert "[3, 2]" in said


def test_a_repository_is_held_to_the_same(offline, family_folders):
    snapshot = cached(offline, "someone/mine", family_folders["llava"])
    asked = Entry("my-own", "llava", "someone/mine", "hub", revision="main")
    load(asked)
    rewrite(snapshot, tensors_of(snapshot) | {"probe.head.weight": torch.ones(3, 2)})
    with pytest.raises(
        CannotLoad, match=r"my-own: model\.safetensors: probe\.head\.weight \[3, 2\]"
    ):
        load(asked)


def test_an_adapter_inside_the_weights_is_refused(folder):
    tensors = tensors_of(folder)
    name = named(tensors, "layers.3.self_attn.o_proj.weight").removesuffix(".weight")
    rewrite(folder, tensors | {f"{name}.lora_{k}.default.weight": torch.ones(2, 32) for k in "AB"})
    refuse(folder, r"o_proj\.lora_A\.default\.weight.*adapter.*merge_and_unload")


def test_an_adapter_that_wraps_the_weights_is_refused(folder):
    tensors = tensors_of(folder)
    name = named(tensors, "layers.3.self_attn.o_proj.weight")
    tensors[name.replace("o_proj", "o_proj.base_layer")] = tensors.pop(name)
    refuse_told = r"o_proj\.base_layer\.weight.*adapter.*merge_and_unload"
    rewrite(folder, tensors)
    refuse(folder, refuse_told)


def test_fewer_layers_in_the_configuration_than_in_the_weights_are_refused(folder):
    configure(folder, num_hidden_layers=3)
    refuse(folder, r"layers\.3\..*num_hidden_layers.*3")


def test_more_layers_in_the_configuration_than_in_the_weights_are_refused(folder):
    configure(folder, num_hidden_layers=5)
    refuse(folder, r"layers\.4\..*not there.*config\.json")


def test_a_head_that_was_trained_beside_the_model_is_refused(folder):
    rewrite(folder, tensors_of(folder) | {"v_head.summary.weight": torch.ones(1, 32)})
    refuse(folder, r"v_head\.summary\.weight.*no part of the model")


def test_two_tensors_for_one_parameter_are_refused(folder):
    """A save under new names in a file that keeps the old ones: only one of them is used."""
    tensors = tensors_of(folder)
    old = named(tensors, "layers.0.self_attn.o_proj.weight")
    assert old.startswith("language_model.model.")
    new = old.replace("language_model.model.", "model.language_model.")
    rewrite(folder, tensors | {new: torch.zeros_like(tensors[old])})
    said = refuse(folder, r"both one parameter")
    assert old in said
    assert new in said


def test_a_projection_of_its_own_under_a_configuration_that_ties_it_is_refused(folder):
    """Other programs drop it, this version of transformers keeps it."""
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(config))
    refuse(folder, r"lm_head\.weight.*tie_word_embeddings")
    tensors = tensors_of(folder)
    tensors[named(tensors, "lm_head.weight")] = tensors[
        named(tensors, "embed_tokens.weight")
    ].clone()
    rewrite(folder, tensors)
    assert load(entry(folder)).model.lm_head.weight is not None
    del tensors[named(tensors, "lm_head.weight")]
    rewrite(folder, tensors)
    subject = load(entry(folder))
    assert subject.model.lm_head.weight is subject.model.get_input_embeddings().weight


def test_weights_of_another_width_are_told_with_both_shapes(folder):
    tensors = tensors_of(folder)
    for ending in ("embed_tokens.weight", "lm_head.weight"):
        name = named(tensors, ending)
        tensors[name] = torch.cat([tensors[name], tensors[name][:3]])
    rewrite(folder, tensors)
    rows = len(tensors[name])
    refuse(folder, rf"model\.safetensors.*\[{rows}, 32\].*\[{rows - 3}, 32\].*vocab_size")


@pytest.mark.parametrize("kind", ["nf4", "int8", "fp8"])
def test_quantised_weights_without_their_configuration_are_refused(folder, kind):
    tensors = tensors_of(folder)
    name = named(tensors, "layers.1.mlp.down_proj.weight")
    if kind == "nf4":
        tensors[name] = torch.zeros(tensors[name].numel() // 2, 1, dtype=torch.uint8)
        tensors |= {f"{name}.absmax": torch.ones(4), f"{name}.quant_map": torch.ones(16)}
    elif kind == "int8":
        tensors[name] = torch.ones(tensors[name].shape, dtype=torch.int8)
    else:
        tensors[name] = tensors[name].to(torch.float8_e4m3fn)
        tensors[f"{name}_scale_inv"] = torch.ones(1, 1)
    rewrite(folder, tensors)
    refuse(folder, r"down_proj\.weight.*quantis.*quantization_config")


def test_what_older_versions_stored_and_newer_ones_compute_must_be_the_same(folder):
    model = load(entry(folder)).model
    buffers = dict(model.named_buffers())
    frequencies = buffers["model.language_model.rotary_emb.inv_freq"]
    places = buffers["model.vision_tower.embeddings.position_ids"]
    tensors = tensors_of(folder)
    name = "language_model.model.layers.0.self_attn.rotary_emb.inv_freq"
    place = "vision_tower.vision_model.embeddings.position_ids"
    rewrite(folder, tensors | {name: frequencies.half(), place: places.clone()})
    load(entry(folder))
    rewrite(folder, tensors | {name: frequencies / 8, place: places.clone()})
    refuse(folder, r"rotary_emb\.inv_freq.*computes.*otherwise")
    rewrite(folder, tensors | {place: places.flip(-1)})
    refuse(folder, r"position_ids.*computes.*otherwise")


def test_a_tokenizer_that_is_larger_than_the_embedding_is_refused(folder):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    rows = len(tensors_of(folder)[named(tensors_of(folder), "embed_tokens.weight")])
    added = dict(tokenizer["added_tokens"][0], id=rows, content="<new>")
    tokenizer["added_tokens"].append(added)
    path.write_text(json.dumps(tokenizer))
    refuse(folder, rf"'<new>'.*{rows}.*resize_token_embeddings")


def test_a_tokenizer_of_another_model_is_refused_where_the_image_token_tells_it(folder):
    config = json.loads((folder / "config.json").read_text())
    key = "image_token_index" if "image_token_index" in config else "image_token_id"
    config[key] += 1
    (folder / "config.json").write_text(json.dumps(config))
    refuse(folder, rf"<image>.*{config[key] - 1}.*{config[key]}.*another model")


def test_a_vision_tower_that_gives_more_features_than_patches_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["vision_feature_select_strategy"] = "full"
    (folder / "config.json").write_text(json.dumps(config))
    refuse(folder, r"vision_feature_select_strategy.*full.*default")
