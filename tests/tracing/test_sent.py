"""What is sent to a server, which is played here by another copy of the model."""

from __future__ import annotations

import linecache
import pickletools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hooked import unequal
from nnsight.intervention.backends.remote import RemoteBackend, RemoteError
from nnsight.modeling import huggingface
from nnsight.modeling.transformers import TransformersModel
from nnsight.schema.request import RequestModel
from test_elsewhere import CLOSE, FAMILIES, edits_of, own

from harness.tracing.capture import capture, read_last_logits
from harness.tracing.edit import Edit
from harness.tracing.elsewhere import NotReached, move_layers
from harness.tracing.replay import replay
from harness.tracing.trace import read_own_logits


@pytest.fixture
def served(of_family, monkeypatch):
    """A subject of the hub whose layers are on a server, and the list of requests that arrive there."""
    source = str(of_family.entry.folder)
    monkeypatch.setitem(huggingface._ID_CACHE, source, source)
    model = own(of_family).model.requires_grad_(True)
    server = TransformersModel(model, task="image-text-to-text", processor=SimpleNamespace())
    came = []

    def request(backend, envelope, tracer):
        came.append((envelope, RequestModel.serialize(tracer)))
        here = dict(linecache.cache)
        received = RequestModel.deserialize(came[-1][1], server._remoteable_persistent_objects())
        with torch.enable_grad():
            received.execute(received.info.code)
        linecache.cache.update(here)
        return {"found": received.info.frame.f_locals["found"]}

    monkeypatch.setattr(RemoteBackend, "request", request)
    entry = replace(of_family.entry, kind="hub", source=source, revision="main")
    return move_layers(replace(own(of_family), entry=entry), "ndif"), came


@pytest.mark.parametrize("of_family", FAMILIES, indirect=True)
def test_a_server_gives_what_is_found_here(served, of_family):
    away, came = served
    batch = unequal(of_family)
    variants = edits_of(of_family, batch)
    assert replay(away, unequal(away), variants) == pytest.approx(
        replay(of_family, batch, variants).numpy(), abs=CLOSE
    )
    assert read_own_logits(away, unequal(away)) == pytest.approx(
        read_last_logits(of_family, batch).numpy(), abs=CLOSE
    )
    captured = capture(away, unequal(away), "residual", batch.image_tokens[:, :2])
    assert not captured.requires_grad, "a server need not know that nobody differentiates"
    envelope = came[0][0]
    assert '"task": "image-text-to-text"' in envelope.model_key
    assert '"revision": "main"' in envelope.model_key
    assert envelope.env == {"attn_implementation": of_family.model.config._attn_implementation}


@pytest.mark.parametrize("of_family", ["llava"], indirect=True)
def test_what_is_sent_is_source_and_no_more_tensors_than_are_needed(served):
    away, came = served
    batch = unequal(away)
    last = torch.full((len(batch), 1), batch.last)
    captured = torch.zeros(100, len(batch), 1, away.model.config.get_text_config().hidden_size)
    replay(away, batch, [[Edit("residual", 0, last, captured[0])]])
    words = {word for _, word, _ in pickletools.genops(came[-1][1]) if isinstance(word, str)}
    assert "write_at" in words
    # Only one version of Python can run its bytecode.
    assert "CodeType" not in words
    inputs = sum(value.nbytes for value in batch.inputs.values())
    assert len(came[-1][1]) - inputs < captured.nbytes


@pytest.mark.parametrize("of_family", ["llava"], indirect=True)
def test_the_twin_leaves_the_subject_as_it_is_and_runs_its_attention(of_family, monkeypatch):
    source = str(of_family.entry.folder)
    entry = replace(of_family.entry, kind="hub", source=source, revision="main")
    subject = replace(own(of_family), entry=entry)
    subject.model.set_attn_implementation("eager")
    before = dict(vars(subject.tokenizer))
    away = move_layers(subject, "ndif")
    assert vars(away.tokenizer) == before
    assert away.elsewhere.model._remoteable_get_env() == {"attn_implementation": "eager"}
    assert {p.device.type for p in away.elsewhere.model._module.parameters()} == {"meta"}


@pytest.mark.parametrize("of_family", ["llava"], indirect=True)
def test_an_error_of_the_server_is_the_last_line_of_its_traceback(served, monkeypatch):
    def request(backend, envelope, tracer):
        raise RemoteError(
            "\nTraceback (most recent call last):\n  File x\nRuntimeError: no such key\n"
        )

    monkeypatch.setattr(RemoteBackend, "request", request)
    with pytest.raises(NotReached, match="RemoteError: RuntimeError: no such key"):
        read_last_logits(served[0], unequal(served[0]))


@pytest.mark.parametrize("of_family", ["llava"], indirect=True)
def test_without_variants_nothing_is_sent(served):
    assert replay(served[0], unequal(served[0]), []).shape[0] == 0
