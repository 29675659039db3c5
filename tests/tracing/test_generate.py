"""Continuations equal those of whole runs without a cache, for every family, with edits and ablations."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hooked import hooked_logits, unequal

from harness.subjects.deepstack import ADDED
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.edit import Edit
from harness.tracing.generate import generate, generate_ids
from harness.tracing.site import KINDS, find_layers

CLOSE = 1e-5
STEPS = 5


@pytest.fixture(scope="module")
def lively(of_family):
    """A subject with weights so large that the text it writes depends on every word and its position.

    It computes in float64, since such weights also enlarge rounding errors.
    """
    model = deepcopy(of_family.model).double()
    seed = torch.Generator().manual_seed(1)
    head = model.get_output_embeddings()
    with torch.no_grad():
        words = model.get_input_embeddings().weight
        words.copy_(torch.randn(words.shape, generator=seed))
        # Not the embeddings of words: a model with those repeats the word that it has just read.
        head.weight = torch.nn.Parameter(torch.randn(words.shape, generator=seed).double() / 4)
        for layer in find_layers(of_family, model):
            layer.self_attn.q_proj.weight *= 16
            if hasattr(layer.self_attn, "q_norm"):
                # Queries are normalized in this family, so the norm's weight sets their length.
                layer.self_attn.q_norm.weight += 7
    # No word ends a text, so that every step is compared.
    tokenizer = deepcopy(of_family.tokenizer)
    tokenizer.eos_token = model.generation_config.eos_token_id = None
    return replace(of_family, model=model, tokenizer=tokenizer, _images=OrderedDict())


def from_scratch(subject, batch, steps, edits=(), ablated=()):
    """A continuation by one whole run for every token, with edits and ablations made by loops in hooks."""
    ids, logits = [], []
    for _ in range(steps):
        every = torch.arange(batch.last + 1).expand(len(batch), -1)
        silenced = [Edit("head", layer, every, 0.0, (head,)) for layer, head in ablated]
        highest, best = hooked_logits(subject, batch, [*edits, *silenced]).max(-1)
        ids.append(best)
        logits.append(highest)
        batch = longer(subject, batch, best)
    return torch.stack(ids, 1), torch.stack(logits, 1)


def longer(subject, batch, words):
    """The batch with one more word in every row, whose position is that of a longer prompt's word."""
    # An image token that a model writes has the position of a word, since it is not part of the image.
    ids = torch.cat([batch.input_ids, batch.input_ids[:, -1:]], 1)
    mask = torch.cat([batch.inputs["attention_mask"], torch.ones(len(batch), 1).long()], 1)
    grids = [batch.image_grid] * len(batch)
    new = subject.model.get_input_embeddings()(words[:, None])
    inputs = {
        "inputs_embeds": torch.cat([batch.inputs["inputs_embeds"], new], 1),
        "attention_mask": mask,
        "position_ids": subject.anatomy.position_ids(subject.model, ids, mask, grids),
    }
    if ADDED in batch.inputs:
        # At words nothing is added.
        inputs[ADDED] = torch.nn.functional.pad(batch.inputs[ADDED], (0, 0, 0, 1))
    if subject.anatomy.token_types:
        inputs[subject.anatomy.token_types] = (ids == subject.model.config.image_token_id).long()
    return replace(batch, input_ids=ids, inputs=inputs)


def edit_of(subject, batch, kind, layer, how="replace", seed=0):
    """An edit at an image token, at a word and at the last token of every row."""
    tokens = torch.stack(
        [
            batch.image_start + 1,
            torch.tensor([row[0][-1] for row in batch.mentions]),
            torch.full((len(batch),), batch.last),
        ],
        1,
    )
    if kind == "residual":
        shape = (len(batch), 3, subject.model.config.get_text_config().hidden_size)
        heads = None
    else:
        shape, heads = (len(batch), 3, 2, subject.head_width), (0, 1)
    values = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return Edit(kind, layer, tokens, values, heads, how)


def same(found, expected):
    ids, logits = expected
    assert torch.equal(found.ids, ids)
    assert found.logits == pytest.approx(logits.numpy(), abs=CLOSE)


def test_a_continuation_equals_that_of_whole_runs(lively):
    batch = unequal(lively)
    found = generate_ids(lively, batch, STEPS)
    same(found, from_scratch(lively, batch, STEPS))
    # If the model wrote one word all the time, equal tokens would prove little.
    assert len(found.ids.unique(dim=0)) > 2
    assert len(found.ids.unique()) > STEPS
    assert generate(lively, batch, STEPS) == lively.tokenizer.batch_decode(
        found.ids, skip_special_tokens=True
    )


def test_a_continuation_is_what_transformers_generates(lively):
    batch = unequal(lively)
    before = generate_ids(lively, batch, STEPS)
    # Gemma's generate() takes no embeddings, and that of Qwen3-VL no inputs that it does not know.
    if lively.anatomy.family not in ("gemma3", "qwen3_vl"):
        theirs = lively.model.generate(
            **batch.inputs,
            max_new_tokens=STEPS,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=0,
        )
        logits = torch.stack([step.max(-1).values for step in theirs.logits], 1)
        same(before, (theirs.sequences, logits))
    # Qwen's model keeps a number that it computed from the last positions.
    generate_ids(lively, unequal(lively, 1, 1), 2)
    for found, kept in zip(generate_ids(lively, batch, STEPS), before, strict=True):
        assert torch.equal(found, kept)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 5), slice(2, 4)])
def test_other_rows_and_padding_do_not_change_a_row(lively, rows):
    batch = unequal(lively)
    together = generate_ids(lively, batch, STEPS)
    same(
        generate_ids(lively, lively.encode(batch.trials[rows]), STEPS),
        (together.ids[rows], together.logits[rows]),
    )


@pytest.mark.parametrize("how", ["replace", "add", "scale"])
@pytest.mark.parametrize("kind", KINDS)
def test_edits_act_on_a_continuation_as_on_whole_runs(lively, kind, how):
    batch = unequal(lively)
    edits = [
        edit_of(lively, batch, kind, 1, how),
        edit_of(lively, batch, kind, 1, "add", seed=1),
        edit_of(lively, batch, "head", 3, seed=2),
    ]
    # Edits are made once, on the prompt, so two words show as much as more would.
    steps = STEPS if how == "replace" else 2
    found = generate_ids(lively, batch, steps, edits)
    same(found, from_scratch(lively, batch, steps, edits))
    assert not torch.equal(found.logits, generate_ids(lively, batch, steps).logits)


@pytest.mark.parametrize("which", ["first", "some", "layer"])
def test_ablations_act_on_a_continuation_as_on_whole_runs(lively, which):
    ablated = {
        "first": [(0, 0)],
        "some": [(1, 3), (1, 1), (3, 2), (1, 3)],
        "layer": [(2, head) for head in range(lively.heads)],
    }[which]
    batch = unequal(lively)
    found = generate_ids(lively, batch, STEPS, ablated=ablated)
    same(found, from_scratch(lively, batch, STEPS, ablated=ablated))
    every = torch.arange(batch.last + 1).expand(len(batch), -1)
    prompt = [Edit("head", layer, every, 0.0, (head,)) for layer, head in ablated]
    of_prompt = generate_ids(lively, batch, STEPS, prompt)
    assert torch.equal(of_prompt.logits[:, 0], found.logits[:, 0])
    assert not torch.equal(of_prompt.logits, found.logits)


def test_ablations_win_over_edits(lively):
    batch = unequal(lively)
    ablated = [(1, head) for head in range(lively.heads)]
    beside = edit_of(lively, batch, "key", 0)
    found = generate_ids(lively, batch, 3, [edit_of(lively, batch, "head", 1), beside], ablated)
    assert torch.equal(found.logits, generate_ids(lively, batch, 3, [beside], ablated).logits)
    same(found, from_scratch(lively, batch, 3, [beside], ablated))


def test_ablating_any_layer_changes_the_continuation(lively):
    batch = unequal(lively)
    before = generate_ids(lively, batch, 2)
    for layer in range(lively.layers):
        ablated = [(layer, head) for head in range(lively.heads)]
        after = generate_ids(lively, batch, 2, ablated=ablated)
        assert (after.logits - before.logits).abs().max() > 10 * CLOSE


@pytest.mark.parametrize("kind", KINDS)
def test_writing_activations_back_changes_no_bit_of_a_continuation(lively, kind):
    # In float32, the precision in which activations are captured.
    subject = replace(lively, model=deepcopy(lively.model).float(), _images=OrderedDict())
    batch = unequal(subject)
    before = generate_ids(subject, batch, STEPS)
    tokens = torch.tensor([[row[0][0], batch.last] for row in batch.mentions])
    own = capture(subject, batch, kind, tokens)
    edits = [Edit(kind, layer, tokens, own[layer]) for layer in range(subject.layers)]
    for found, kept in zip(generate_ids(subject, batch, STEPS, edits), before, strict=True):
        assert torch.equal(found, kept)


def test_an_edit_of_one_row_leaves_the_others_alone(lively):
    batch = unequal(lively)
    before = generate_ids(lively, batch, STEPS)
    scales = torch.ones(len(batch), 1, 1, 1)
    scales[3] = 0
    last = torch.full((len(batch), 1), batch.last)
    after = generate_ids(lively, batch, STEPS, [Edit("head", 1, last, scales, None, "scale")])
    others = torch.arange(len(batch)) != 3
    assert torch.equal(after.ids[others], before.ids[others])
    assert torch.equal(after.logits[others], before.logits[others])
    assert (after.logits[3] - before.logits[3]).abs().max() > 10 * CLOSE


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_token_is_the_most_likely_answer(lively, kind):
    batch = unequal(lively)
    edits = [edit_of(lively, batch, kind, lively.layers - 1)]
    same(
        generate_ids(lively, batch, 1, edits),
        [x[:, None] for x in reversed(read_edited_logits(lively, batch, edits).max(-1))],
    )


def test_in_half_precision_the_first_token_is_the_most_likely_answer(of_family):
    model = deepcopy(of_family.model).to(torch.bfloat16)
    subject = replace(of_family, model=model, _images=OrderedDict())
    batch = unequal(subject)
    highest, best = read_last_logits(subject, batch).max(-1)
    found = generate_ids(subject, batch, 2)
    assert torch.equal(found.ids[:, 0], best)
    assert torch.equal(found.logits[:, 0], highest)


@pytest.mark.parametrize("fails", [False, True])
def test_no_hook_is_left_behind(subject, monkeypatch, fails):
    batch = unequal(subject, 1, 0)
    before = read_last_logits(subject, batch)
    hooks = hooks_of(subject)
    if fails:
        write = Edit.write
        monkeypatch.setattr(Edit, "write", lambda *given: write(*given) or 1 / 0)
    edit = Edit("head", 2, torch.full((1, 1), batch.last), 0.0)
    with pytest.raises(ZeroDivisionError) if fails else nullcontext():
        generate(subject, batch, 2, [edit], [(0, 1)])
    assert hooks_of(subject) == hooks
    assert torch.equal(read_last_logits(subject, batch), before)


def hooks_of(subject):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in subject.model.modules())


def ending(subject, where, ends):
    """The subject with tokens that end a text, which the tokenizer or the checkpoint names."""
    model, tokenizer = deepcopy(subject.model), deepcopy(subject.tokenizer)
    if where == "tokenizer":
        (end,) = ends
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    else:
        model.generation_config.eos_token_id = ends if where == "list" else ends[0]
    return replace(subject, model=model, tokenizer=tokenizer, _images=OrderedDict())


@pytest.mark.parametrize("where", ["tokenizer", "checkpoint", "list"])
def test_a_text_stops_where_its_row_ends(lively, where):
    batch = unequal(lively)
    free = generate_ids(lively, batch, STEPS)
    ends = [int(free.ids[0, 2])] + [int(free.ids[3, 1])] * (where == "list")
    subject = ending(lively, where, ends)
    found = generate_ids(subject, batch, STEPS)
    texts = generate(subject, batch, STEPS)
    for row, text in enumerate(texts):
        alone = free.ids[row].tolist()
        length = min([alone.index(end) for end in ends if end in alone], default=STEPS)
        assert text == lively.tokenizer.decode(alone[:length], skip_special_tokens=True)
        assert found.ids[row, : length + 1].tolist() == alone[: length + 1]
        assert set(found.ids[row, length:].tolist()) <= {*ends}
        assert torch.equal(found.logits[row, : length + 1], free.logits[row, : length + 1])
    assert len(texts[0].split()) <= 2


def test_nothing_is_run_once_every_row_has_ended(lively):
    batch = unequal(lively)
    free = generate_ids(lively, batch, STEPS)
    for last in range(STEPS):
        ends = free.ids[:, last].tolist()
        # Some row may have written one of these before.
        ended = torch.isin(free.ids, torch.tensor(ends)).cumsum(1).bool().all(0)
        length = 1 + ended.tolist().index(True)
        runs = []
        subject = ending(lively, "list", ends)
        subject.model.register_forward_pre_hook(lambda m, a, runs=runs: runs.append(a))
        found = generate_ids(subject, batch, STEPS)
        assert found.ids.shape == found.logits.shape == (len(batch), length)
        assert len(runs) == length
    subject = ending(lively, "list", free.ids[:, 0].tolist())
    assert generate(subject, batch, STEPS) == [""] * len(batch)


@pytest.mark.parametrize("how", ["replace", "add", "scale"])
def test_an_edited_embedding_acts_on_a_continuation_as_on_whole_runs(lively, how):
    batch = unequal(lively)
    place = edit_of(lively, batch, "residual", 0, how)
    values = place.values[:, :, None]
    edit = Edit("embedding", 0, place.tokens, values, (0,), how)
    found = generate_ids(lively, batch, 2, [edit, edit_of(lively, batch, "head", 1)])
    same(found, from_scratch(lively, batch, 2, [edit, edit_of(lively, batch, "head", 1)]))
    assert not torch.equal(found.logits, generate_ids(lively, batch, 2).logits)
    # What was edited is a copy.
    again = generate_ids(lively, batch, 2)
    assert torch.equal(again.logits, generate_ids(lively, unequal(lively), 2).logits)
