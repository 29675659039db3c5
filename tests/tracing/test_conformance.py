"""A subject of every family passes all checks, and each check fails on a subject with a fault it looks for."""

from __future__ import annotations

import json
import re
import shutil
from collections import OrderedDict
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from families import loaded
from hooked import edits_go_wrong
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from harness.cli import main as cli
from harness.experiments.spelling import FoundSpelling
from harness.subjects.anatomy import ANATOMIES, _counted
from harness.subjects.layout import Layout
from harness.subjects.registry import SharedFirstPiece
from harness.subjects.subject import Subject
from harness.tracing.attention import NAME, attend
from harness.tracing.conformance import CHECKS, check_conformance
from harness.tracing.site import find_layers


def failures(subject):
    return {f.check: f.failure for f in check_conformance(subject) if f.failure}


def test_a_subject_of_any_family_conforms(of_family):
    assert failures(of_family) == {}


@pytest.mark.parametrize("arrangement", ["chat", "prefilled"])
def test_a_subject_of_any_family_conforms_in_a_chat_too(of_family, arrangement):
    entry = replace(of_family.entry, arrangement=arrangement)
    assert failures(replace(of_family, entry=entry)) == {}


def test_a_subject_of_any_family_conforms_in_bfloat16_too(of_family):
    model = deepcopy(of_family.model).bfloat16()
    subject = replace(of_family, model=model, _images=type(of_family._images)())
    assert failures(subject) == {}


# Faulty subjects for each check: (family, what is done to it, what the explanation must say).


def layers_of_the_tower(subject, monkeypatch):
    anatomy = replace(subject.anatomy, layers="model.vision_tower.encoder.layers")
    return replace(subject, anatomy=anatomy)


def letters(subject, monkeypatch):
    content = json.loads(subject.tokenizer.backend_tokenizer.to_str())
    content["model"]["merges"] = []
    tokenizer = deepcopy(subject.tokenizer)
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content))
    return replace(subject, tokenizer=tokenizer)


def noisy(subject, monkeypatch):
    layer = find_layers(subject, subject.model)[1]
    layer.register_forward_hook(lambda m, given, out: out + 1e-3 * torch.randn_like(out))
    return subject


def other_logits(subject, monkeypatch):
    subject.model.lm_head.register_forward_hook(lambda m, given, out: out.tanh())
    return subject


def heads_turned(subject, monkeypatch):
    edits_go_wrong(
        monkeypatch,
        lambda e: replace(e, values=e.values.roll(1, -2)) if e.kind == "head" and e.by_row else e,
    )
    return subject


def unwritten(subject, monkeypatch):
    edits_go_wrong(monkeypatch, lambda edit: None)
    return subject


def sharper_replay(subject, monkeypatch):
    def sharper(module, *given, scaling, **named):
        return attend(module, *given, scaling=2 * scaling, **named)

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, NAME, sharper)
    return subject


def values_one_token_late(subject, monkeypatch):
    edits_go_wrong(
        monkeypatch,
        lambda e: replace(e, values=e.values.roll(1, 1)) if e.kind == "value" and e.by_row else e,
    )
    return subject


def looking_ahead(subject, monkeypatch):
    for layer in find_layers(subject, subject.model):
        layer.self_attn.is_causal = False
    return subject


def heads_of_half_the_number(subject, monkeypatch):
    config = subject.model.config.get_text_config()
    monkeypatch.setattr(config, "num_attention_heads", config.num_attention_heads // 2)
    return subject


def wider_heads(subject, monkeypatch):
    config = subject.model.config.get_text_config()
    for name, times in (
        ("num_attention_heads", 0.5),
        ("num_key_value_heads", 0.5),
        ("head_dim", 2),
    ):
        monkeypatch.setattr(config, name, int(getattr(config, name) * times))
    return subject


def narrower_heads(subject, monkeypatch):
    config = subject.model.config.get_text_config()
    for name, times in (("num_attention_heads", 2), ("num_key_value_heads", 2), ("head_dim", 0.5)):
        monkeypatch.setattr(config, name, int(getattr(config, name) * times))
    for layer in find_layers(subject, subject.model):
        # Without the attribute only the effect shows the fault.
        monkeypatch.setattr(layer.self_attn, "head_dim", layer.self_attn.head_dim, raising=False)
    return subject


def ungrouped_keys(subject, monkeypatch):
    config = subject.model.config.get_text_config()
    monkeypatch.setattr(config, "num_key_value_heads", config.num_attention_heads)
    return subject


def transposed(subject, monkeypatch):
    seen = subject.model.model.get_image_features

    def turned(**inputs):
        found = seen(**inputs)
        found.pooler_output = [
            f.unflatten(0, (8, 8)).transpose(0, 1).flatten(0, 1) for f in found.pooler_output
        ]
        return found

    monkeypatch.setattr(subject.model.model, "get_image_features", turned)
    return subject


def one_patch(subject, monkeypatch):
    def layouts(token, config, processed, features):
        return [Layout(token * len(f), len(f), (1, 1)) for f in features]

    return replace(subject, anatomy=replace(subject.anatomy, layouts=layouts))


def counted_positions(subject, monkeypatch):
    anatomy = replace(subject.anatomy, position_ids=_counted)
    return replace(subject, anatomy=anatomy)


def nothing_added_later(subject, monkeypatch):
    return replace(subject, anatomy=replace(subject.anatomy, deepstack=False))


def blind_to_types(subject, monkeypatch):
    def counted(input_ids, attention_mask, **_):
        positions = _counted(None, input_ids, attention_mask, [])
        return positions.expand(3, -1, -1), torch.zeros(len(input_ids), 1, dtype=torch.int64)

    monkeypatch.setattr(subject.model.model, "get_rope_index", counted)
    return subject


def padding_attended(subject, monkeypatch):
    class Padded(Subject):
        def encode(self, trials):
            batch = super().encode(trials)
            mask = torch.ones_like(batch.inputs["attention_mask"])
            return replace(batch, inputs=batch.inputs | {"attention_mask": mask})

    return Padded(**{k: v for k, v in vars(subject).items() if k != "_answers"})


def sharper_sdpa(subject, monkeypatch):
    usual = ALL_ATTENTION_FUNCTIONS["sdpa"]

    def sharper(module, *given, scaling=None, **named):
        return usual(module, *given, scaling=2 * scaling, **named)

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "sdpa", sharper)
    return subject


def every_other_position(subject, monkeypatch):
    anatomy = replace(subject.anatomy, position_ids=lambda *given: 2 * _counted(*given))
    return replace(subject, anatomy=anatomy)


def entered_otherwise(subject, monkeypatch):
    find_layers(subject, subject.model)[0].register_forward_pre_hook(
        lambda module, given: (given[0] + 1, *given[1:])
    )
    return subject


def tower_without_effect(subject, monkeypatch):
    return replace(subject, anatomy=replace(subject.anatomy, vision_layers=subject.anatomy.layers))


def blind(subject, monkeypatch):
    seen = subject.model.model.get_image_features

    def nothing(**inputs):
        found = seen(**inputs)
        found.pooler_output = [0 * f for f in found.pooler_output]
        return found

    monkeypatch.setattr(subject.model.model, "get_image_features", nothing)
    return replace(subject, _images=OrderedDict())


def embedding_lost_in_replays(subject, monkeypatch):
    monkeypatch.setattr("harness.tracing.replay._select_parts", lambda running, layer: [])
    return subject


WRONG = {
    "the layers are decoder layers": [
        ("llava", layers_of_the_tower, "does not lead to decoder layers")
    ],
    "answers begin with tokens of their own": [("qwen2_vl", letters, "start with the same token")],
    "two runs are the same": [("llava", noisy, "two runs on the same batch differ")],
    "the logits are the model's": [("internvl", other_logits, "do not give the model's logits")],
    "putting back what was there changes nothing": [
        ("llava", heads_turned, "putting the heads' own outputs back")
    ],
    "edits have their effect": [("smolvlm", unwritten, "zeroing the heads of layer 0")],
    "a replay is the whole run": [("pixtral", sharper_replay, "a replay that edits nothing")],
    "the embedding is what enters the decoder": [
        ("qwen2_vl", entered_otherwise, "what enters the first decoder layer is not the embedding"),
        ("llava", blind, "another image changes nothing"),
    ],
    "vision sites are the model's": [
        ("llava", tower_without_effect, "no vision at model.language_model.layers"),
    ],
    "a replay edits the embedding": [
        ("llava", embedding_lost_in_replays, "in a replay the embeddings of another image")
    ],
    "every site can be put back": [("gemma3", values_one_token_late, "putting every value back")],
    "words do not look ahead": [("llava", looking_ahead, "changes tokens from 0 on")],
    "heads add up to what attention gives": [
        ("llava", heads_of_half_the_number, "takes 32 features|Expected: 2 heads of 8"),
        ("qwen3_vl", wider_heads, "into heads of 8. Expected: heads of 16"),
    ],
    "heads stand apart, keys are shared as said": [
        ("llava", narrower_heads, r"another query of head 7 in layer 0 moves the heads \[6, 7\]"),
        ("llava", ungrouped_keys, "keys are captured as 2 heads of 8. Expected: 4 of 8"),
    ],
    "image tokens are the image's patches": [
        ("llava", transposed, "an object at the top right changes"),
        ("llava", one_patch, "64 image tokens in the prompt, 1 in the grid"),
    ],
    "the model itself sees the same": [
        ("qwen2_5_vl", counted_positions, "off by"),
        ("qwen3_vl", nothing_added_later, "off by"),
    ],
    "token types matter": [("qwen2_5_vl", blind_to_types, "without mm_token_type_ids the model")],
    "a batch is its trials": [("idefics2", padding_attended, "a trial beside a longer one")],
    "eager attention and SDPA agree": [("llava_onevision", sharper_sdpa, "SDPA differ by")],
    "a cache changes nothing": [("llava", every_other_position, "the word that is written at")],
}


@pytest.mark.parametrize(
    ("check", "family", "wrong", "said"),
    [pytest.param(c, *w, id=f"{c}-{w[1].__name__}") for c, cases in WRONG.items() for w in cases],
)
def test_each_check_finds_the_faults_it_is_made_for(
    family_folders, monkeypatch, check, family, wrong, said
):
    subject = wrong(loaded(family_folders[family]), monkeypatch)
    found = failures(subject)
    assert check in found
    assert re.search(said, found[check]), found[check]


def test_a_head_that_gives_nothing_is_no_fault(family_folders):
    """As pruned heads do, and those of the controls that have no part in the mechanism."""
    subject = loaded(family_folders["llava"])
    attention = find_layers(subject, subject.model)[0].self_attn
    # Values of the last key head are zero, and so is what the two query heads that share it give.
    attention.v_proj.weight.data[-subject.head_width :] = 0
    assert failures(subject) == {}


def test_every_check_has_a_faulty_subject():
    assert set(WRONG) == set(CHECKS)


def test_the_command_says_ok_or_what_failed(family_folders, capsys, monkeypatch):
    folder = family_folders["pixtral"]
    assert cli.main(["check-subject", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.count(" ok\n") == len(CHECKS)
    assert "\npixtral: answers sentences as in " in said
    assert said.endswith("all checks passed\n")
    monkeypatch.setitem(
        ANATOMIES, "pixtral", every_other_position(loaded(folder), monkeypatch).anatomy
    )
    assert cli.main(["check-subject", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "a cache changes nothing                      FAILED: pixtral: the word" in said


def test_the_command_says_which_answers_cannot_be_told_apart(family_folders, capsys, monkeypatch):
    def refuse(found, subject):
        raise SharedFirstPiece(f"{subject.name}: answers are written as in 'GR'")

    monkeypatch.setattr(FoundSpelling, "check", refuse)
    assert cli.main(["check-subject", str(family_folders["llava"])]) == 1
    said = capsys.readouterr().out
    assert said.endswith("FAILED: llava: answers are written as in 'GR'\n1 checks failed\n")


def test_the_command_ends_with_two_where_no_text_can_be_gone_on_with(
    family_folders, tmp_path, capsys
):
    folder = shutil.copytree(family_folders["llava"], tmp_path / "ends")
    subject = loaded(folder)
    subject.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    subject.tokenizer.save_pretrained(folder)
    assert cli.main(["check-subject", str(folder)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(
        "claims check-subject: ends: the tokenizer writes '</s>' after every"
    )
    assert told.err.count("\n") == 1
    assert "FAILED" not in told.out


def test_the_command_ends_with_two_where_nothing_can_be_loaded(tmp_path, capsys):
    assert cli.main(["check-subject", str(tmp_path)]) == 2
    assert "no config.json" in capsys.readouterr().err
