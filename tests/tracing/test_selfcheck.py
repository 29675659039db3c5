"""The self-check passes on a good subject, and each of its checks fails on a subject with a certain fault."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import count

import pytest
import torch
from hooked import edits_go_wrong
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from harness.subjects.registry import SharedFirstPiece
from harness.subjects.spelling import FirstTokens
from harness.tracing import capture as capturing
from harness.tracing import trace as tracing_runs
from harness.tracing.attention import NAME, attend
from harness.tracing.selfcheck import SelfCheckFailed, selfcheck
from harness.tracing.site import find_layers
from harness.tracing.trace import run


def test_a_good_subject_passes(subject):
    selfcheck(subject)


@pytest.mark.parametrize(
    "path", ["model.no_such_tower.layers", "model.language_model", "model.language_model.layers.0"]
)
def test_a_path_that_leads_to_no_layers_is_named(subject, path):
    wrong = replace(subject, anatomy=replace(subject.anatomy, layers=path))
    with pytest.raises(SelfCheckFailed, match=f"^{subject.name}: {path} does not lead to decoder"):
        selfcheck(wrong)


def test_the_layers_of_the_vision_tower_are_not_taken_for_the_decoders(subject):
    tower = {"llava": "model.vision_tower.encoder.layers", "qwen2_vl": "model.visual.blocks"}
    path = tower[subject.anatomy.family]
    wrong = replace(subject, anatomy=replace(subject.anatomy, layers=path))
    with pytest.raises(SelfCheckFailed, match=f"^{subject.name}: {path} does not lead to decoder"):
        selfcheck(wrong)


@pytest.mark.parametrize("configured", [7, 9])
def test_a_config_of_more_or_fewer_layers_is_named(subject, monkeypatch, configured):
    config = subject.model.config.get_text_config()
    monkeypatch.setattr(config, "num_hidden_layers", configured)
    path = subject.anatomy.layers
    with pytest.raises(SelfCheckFailed, match=f"8 layers at {path}, {configured} in the config"):
        selfcheck(subject)


def test_answers_that_begin_alike_are_refused(subject, monkeypatch):
    monkeypatch.setattr(FirstTokens, "find", lambda self, word, style: 7)
    with pytest.raises(SharedFirstPiece, match="start with the same token"):
        selfcheck(replace(subject))


def test_logits_that_are_not_finite_are_refused(subject):
    last = find_layers(subject, subject.model)[-1]
    spoil = last.mlp.register_forward_hook(lambda m, a, out: out * torch.nan)
    with spoil, pytest.raises(SelfCheckFailed, match="the logits are not finite"):
        selfcheck(subject)


def test_a_model_that_answers_differently_each_time_is_refused(subject):
    runs = count()
    last = find_layers(subject, subject.model)[-1]
    drift = last.mlp.register_forward_hook(lambda m, a, out: out * next(runs))
    with drift, pytest.raises(SelfCheckFailed, match="two runs on the same batch differ"):
        selfcheck(subject)


def test_an_edit_of_the_next_head_is_found(subject, monkeypatch):
    turned = tuple((h + 1) % subject.heads for h in range(subject.heads))
    edits_go_wrong(
        monkeypatch, lambda edit: replace(edit, heads=turned) if edit.kind == "head" else edit
    )
    with pytest.raises(SelfCheckFailed, match="putting the heads' own outputs back"):
        selfcheck(subject)


def test_a_capture_that_counts_layers_from_one_is_found(subject, monkeypatch):
    def shifted(subject, batch, reads, *variants):
        if not variants:
            reads = [read._replace(layer=max(0, read.layer - 1)) for read in reads]
        return run(subject, batch, reads, *variants)

    monkeypatch.setattr(capturing, "run", shifted)
    with pytest.raises(SelfCheckFailed, match="putting the heads' own outputs back"):
        selfcheck(subject)


def test_an_edit_without_effect_is_found(subject, monkeypatch):
    edits_go_wrong(monkeypatch, lambda edit: None)
    with pytest.raises(SelfCheckFailed, match="zeroing the heads of layer 0 changes nothing"):
        selfcheck(subject)


def test_an_edit_of_the_residual_stream_that_misses_a_token_is_found(subject, monkeypatch):
    def all_but_one(edit):
        if edit.kind == "residual":
            # The last token but one, which in all layers but the last has an effect on the answer.
            kept = torch.arange(edit.tokens.shape[-1]) != edit.tokens.shape[-1] - 2
            edit = replace(edit, tokens=edit.tokens[:, kept], values=edit.values[:, kept])
        return edit

    edits_go_wrong(monkeypatch, all_but_one)
    with pytest.raises(SelfCheckFailed, match="residual stream at layer 0 does not give"):
        selfcheck(subject)


DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def sharper(module, *given, scaling, **named):
    return attend(module, *given, scaling=2 * scaling, **named)


def blind(module, *given, **named):
    return torch.zeros_like(attend(module, *given, **named)[0]), None


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_good_subject_of_any_family_passes_in_any_precision(of_family, dtype):
    selfcheck(replace(of_family, model=deepcopy(of_family.model).to(dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", [sharper, blind])
def test_attention_that_a_replay_does_not_compute_is_found(of_family, monkeypatch, wrong, dtype):
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, NAME, wrong)
    subject = replace(of_family, model=deepcopy(of_family.model).to(dtype))
    with pytest.raises(SelfCheckFailed, match="a replay that edits nothing is off the whole run"):
        selfcheck(subject)


def test_logits_without_the_final_norm_are_found(subject, monkeypatch):
    monkeypatch.setattr(torch.func, "functional_call", lambda norm, weights, given: given[0])
    with pytest.raises(SelfCheckFailed, match="do not give the model's logits"):
        selfcheck(subject)


def test_an_embedding_that_does_not_enter_the_first_layer_is_found(subject):
    first = find_layers(subject, subject.model)[0]
    shift = first.register_forward_pre_hook(lambda m, given: (given[0] * 1.5, *given[1:]))
    with shift, pytest.raises(SelfCheckFailed, match="what enters the first decoder layer"):
        selfcheck(subject)


def test_an_edit_of_the_embedding_that_is_lost_is_found(subject, monkeypatch):
    monkeypatch.setattr(tracing_runs, "write_embedding", lambda *given: None)
    with pytest.raises(SelfCheckFailed, match="embeddings of another image do not give its answer"):
        selfcheck(subject)
