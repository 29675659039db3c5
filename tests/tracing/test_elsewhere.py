"""Decoder layers elsewhere, simulated by nnsight, give the results of layers here."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hooked import unequal

from harness.experiments.reproduction.retrieval_variants import _convert_to_bfloat16
from harness.subjects.anatomy import ANATOMIES
from harness.subjects.fitting import CannotLoad
from harness.subjects.registry import OnlyHere
from harness.tracing import trace
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.edit import Edit
from harness.tracing.elsewhere import Elsewhere, NotReached, move_layers
from harness.tracing.generate import generate_ids
from harness.tracing.replay import replay
from harness.tracing.selfcheck import selfcheck
from harness.tracing.site import ORDER, find_layers

CLOSE = 1e-5


def own(subject):
    """The subject with its own copy of the model, so that nothing nnsight does to it shows in other tests."""
    return replace(subject, model=deepcopy(subject.model), _images=OrderedDict())


FAMILIES = sorted(family for family, anatomy in ANATOMIES.items() if not anatomy.deepstack)
of_any_family = pytest.mark.parametrize("of_family", FAMILIES, indirect=True)


@pytest.fixture(scope="module")
def away(of_family):
    return move_layers(own(of_family), "local")


def edits_of(subject, batch):
    """Three variants: no edit; a head ablated and queries scaled; the residual stream changed in two layers."""
    last = torch.full((len(batch), 1), batch.last)
    image = batch.image_tokens[:, :3]
    generator = torch.Generator().manual_seed(0)
    width = subject.model.config.get_text_config().hidden_size
    step = torch.randn(len(batch), 3, width, generator=generator)
    return [
        [],
        [Edit("head", 1, last, 0.0, (1,)), Edit("query", 0, last, 3.0, how="scale")],
        # At the last token, where each layer has an effect; at image tokens the last layer has none.
        [
            Edit("residual", 0, image, step, how="add"),
            Edit("residual", 1, last, 3 * step[:, :1], how="add"),
        ],
    ]


@of_any_family
def test_decoder_layers_elsewhere_have_no_weights_here(away):
    layers = find_layers(away, away.model)
    assert {p.device.type for p in layers.parameters()} == {"meta"}
    others = [p for n, p in away.model.named_parameters() if away.anatomy.layers not in n]
    assert {p.device.type for p in others} == {"cpu"}


@of_any_family
def test_layers_elsewhere_have_the_activations_of_layers_here(away, of_family):
    batch = unequal(of_family)
    tokens = torch.stack([batch.image_tokens[:, 1], torch.full((len(batch),), batch.last)], 1)
    for site in ORDER:
        there = capture(away, unequal(away), site, tokens)
        assert torch.equal(there, capture(of_family, batch, site, tokens)), site


@of_any_family
def test_edits_of_layers_elsewhere_have_the_same_effect_as_here(away, of_family):
    batch = unequal(of_family)
    variants = edits_of(of_family, batch)
    here = replay(of_family, batch, variants)
    there = replay(away, unequal(away), variants)
    assert there == pytest.approx(here.numpy(), abs=CLOSE)
    assert (here[1:] - here[0]).abs().amax((1, 2)).min() > 10 * CLOSE
    read = here[0].topk(3).indices
    middle = torch.full((len(batch),), batch.last - 1)
    there = replay(away, unequal(away), variants, read, at=middle)
    assert there == pytest.approx(
        replay(of_family, batch, variants, read, at=middle).numpy(), abs=CLOSE
    )


@of_any_family
def test_layers_elsewhere_continue_a_text_as_layers_here(away, of_family):
    batch = unequal(of_family)
    edits = edits_of(of_family, batch)[2]
    here = generate_ids(of_family, batch, 4, edits, [(0, 1)])
    there = generate_ids(away, unequal(away), 4, edits, [(0, 1)])
    assert torch.equal(there.ids, here.ids)
    assert there.logits == pytest.approx(here.logits.numpy(), abs=CLOSE)


@of_any_family
def test_the_selfcheck_passes_with_layers_elsewhere(away):
    selfcheck(away)


@pytest.mark.parametrize("rows", [1, 2, 4, 5])
def test_results_do_not_depend_on_how_many_rows_are_sent_at_once(subject, monkeypatch, rows):
    away = move_layers(own(subject), "local")
    batch = unequal(away)
    variants = edits_of(away, batch)
    whole = replay(away, batch, variants), read_last_logits(away, batch)
    monkeypatch.setattr(trace, "ROWS_SENT", rows)
    assert replay(away, batch, variants) == pytest.approx(whole[0].numpy(), abs=CLOSE)
    assert read_last_logits(away, batch) == pytest.approx(whole[1].numpy(), abs=CLOSE)
    edited = read_edited_logits(away, batch, variants[2])
    assert edited == pytest.approx(whole[0][2].numpy(), abs=CLOSE)


def test_a_server_that_is_not_there_is_named_with_what_to_try(subject):
    away = move_layers(own(subject), "local")
    there = Elsewhere(away.elsewhere.model, "http://127.0.0.1:9")
    with pytest.raises(
        NotReached, match=r"127\.0\.0\.1:9 and failed .*nnsight.status.* in the store"
    ):
        read_last_logits(replace(away, elsewhere=there), unequal(away))


@pytest.mark.parametrize("of_family", ["qwen3_vl"], indirect=True)
def test_a_model_that_adds_features_between_layers_cannot_run_elsewhere(of_family):
    with pytest.raises(CannotLoad, match="between its decoder layers"):
        move_layers(of_family, "local")


def test_what_cannot_be_sent_is_refused(subject):
    with pytest.raises(CannotLoad, match="this one is here only"):
        move_layers(subject, "ndif")
    with pytest.raises(OnlyHere, match=r"a copy in bfloat16 .* elsewhere \(--remote local\)"):
        _convert_to_bfloat16(move_layers(own(subject), "local"))
