"""Hooks are proven by their effect, and against plain torch hooks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hooked import unequal
from nnsight.schema.config import CONFIG

from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.draw import draw
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.edit import Edit
from harness.tracing.replay import replay
from harness.tracing.site import KINDS, find_layers, measure_written


@pytest.fixture(scope="module")
def trials(subject):
    return draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[2], 6, np.random.default_rng(1))


@pytest.fixture(scope="module")
def batch(subject, trials):
    return subject.encode(trials)


def last_of(batch):
    return torch.full((len(batch), 1), batch.last)


def hooked(subject, batch, layer, change):
    """Logits with a plain torch hook on one layer's o_proj: the oracle."""

    def hook(module, arguments):
        return (change(arguments[0].clone()),)

    handle = find_layers(subject, subject.model)[layer].self_attn.o_proj.register_forward_pre_hook(
        hook
    )
    try:
        return read_last_logits(subject, batch)
    finally:
        handle.remove()


def test_encoding_gives_what_the_whole_model_gives(subject, trials, batch):
    images = subject.image_processor(images=[draw(t.scene) for t in trials], return_tensors="pt")
    inputs = dict(images)
    if subject.anatomy.family == "qwen2_vl":
        inputs["mm_token_type_ids"] = (batch.input_ids == subject.model.config.image_token_id).int()
    with torch.no_grad():
        whole = subject.model(
            input_ids=batch.input_ids, attention_mask=batch.inputs["attention_mask"], **inputs
        )
    assert torch.allclose(whole.logits[:, -1], read_last_logits(subject, batch), atol=1e-5)


def test_a_trial_gives_the_same_alone_and_in_a_batch(subject, trials, batch):
    alone = torch.cat([read_last_logits(subject, subject.encode([t])) for t in trials])
    assert torch.allclose(alone, read_last_logits(subject, batch), atol=1e-5)


def test_padding_on_the_left_changes_nothing(subject, trials):
    short = draw_contrasts(
        "id_selection", subject.grids[2], HIGH_ENTROPY[3], 1, np.random.default_rng(0)
    )[0].clean
    together = subject.encode([trials[0], short])
    assert together.inputs["attention_mask"][1, 0] == 0
    for row, trial in enumerate((trials[0], short)):
        alone = read_last_logits(subject, subject.encode([trial]))
        assert torch.allclose(alone[0], read_last_logits(subject, together)[row], atol=1e-5)
    told = [together.input_ids[1, i].item() for i in together.mentions[1][0]]
    assert subject.tokenizer.decode(told) == short.described[0].name


def test_captured_residuals_are_those_of_output_hidden_states(subject, batch):
    every = torch.arange(batch.last + 1).repeat(len(batch), 1)
    ours = capture(subject, batch, "residual", every)
    with torch.no_grad():
        theirs = subject.model(**batch.inputs, output_hidden_states=True).hidden_states
    # hidden_states[i + 1] is the output of layer i, but the last one is after the final norm.
    for layer in range(subject.layers - 1):
        assert torch.equal(ours[layer], theirs[layer + 1])
    norm = subject.model.model.language_model.norm
    assert torch.equal(norm(ours[-1]), theirs[-1])


def test_heads_times_the_projection_give_the_attention_output(subject, batch):
    heads = capture(subject, batch, "head", last_of(batch))
    attention = find_layers(subject, subject.model)[3].self_attn
    outputs = []
    handle = attention.register_forward_hook(lambda m, a, out: outputs.append(out[0]))
    read_last_logits(subject, batch)
    handle.remove()
    weights = attention.o_proj.weight.unflatten(1, (subject.heads, -1))
    by_head = torch.einsum("bhd,ohd->bo", heads[3, :, 0], weights)
    assert torch.allclose(by_head, outputs[0][:, -1], atol=1e-5)


def test_what_a_head_writes_is_as_long_as_its_share_of_the_attention_output(subject, batch):
    heads = capture(subject, batch, "head", last_of(batch))
    attention = find_layers(subject, subject.model)[3].self_attn
    weights = attention.o_proj.weight.unflatten(1, (subject.heads, -1))
    shares = torch.einsum("bhd,ohd->bho", heads[3, :, 0], weights)
    written = capture(subject, batch, "written", last_of(batch))
    assert written.shape == (subject.layers, len(batch), 1, subject.heads)
    torch.testing.assert_close(written[3, :, 0], shares.norm(dim=-1).detach())


def test_what_a_head_writes_does_not_depend_on_the_scale_of_its_values():
    generator = torch.Generator().manual_seed(0)
    given, weight = (torch.randn(n, 6, generator=generator) for n in (5, 7))
    scale = torch.tensor([2.0, 0.5, 4.0, -1.0, 8.0, 0.25])
    plain = measure_written(given[None], weight, 2)
    torch.testing.assert_close(measure_written(given[None] * scale, weight / scale, 2), plain)


def test_a_full_patch_gives_the_other_runs_output(subject, trials):
    trial = trials[0]
    other = type(trial)(
        trial.scene.swapped(*trial.scene.objects[:2]), trial.prompt, trial.described, trial.target
    )
    a, b = subject.encode([trial]), subject.encode([other])
    every = torch.arange(a.last + 1)[None]
    stream = capture(subject, b, "residual", every, layers=[2])[0]
    edit = Edit("residual", 2, every, stream)
    assert not torch.equal(read_last_logits(subject, a), read_last_logits(subject, b))
    assert torch.equal(read_edited_logits(subject, a, [edit]), read_last_logits(subject, b))


def test_editing_a_position_leaves_those_before_untouched(subject, batch):
    position = batch.last - 4
    every = torch.arange(batch.last + 1).repeat(len(batch), 1)
    before = capture(subject, batch, "residual", every)

    def change(x):
        x[:, position] += 1.0
        return x

    def hook(module, arguments):
        return (change(arguments[0].clone()),)

    handle = find_layers(subject, subject.model)[1].self_attn.o_proj.register_forward_pre_hook(hook)
    after = capture(subject, batch, "residual", every)
    handle.remove()
    assert torch.equal(before[:, :, :position], after[:, :, :position])
    assert not torch.equal(before[1:, :, position:], after[1:, :, position:])


def test_edits_of_two_layers_in_one_run_equal_two_hooks(subject, batch):
    values = capture(subject, batch, "head", last_of(batch)).flip(1)
    tokens = last_of(batch)
    edits = [Edit("head", layer, tokens, values[layer][:, :, [2]], (2,)) for layer in (5, 1)]
    width = values.shape[-1]

    def hook_for(layer):
        def hook(module, arguments):
            x = arguments[0].clone()
            x[:, -1, 2 * width : 3 * width] = values[layer, :, 0, 2]
            return (x,)

        return hook

    layers = find_layers(subject, subject.model)
    handles = [layers[i].self_attn.o_proj.register_forward_pre_hook(hook_for(i)) for i in (1, 5)]
    theirs = read_last_logits(subject, batch)
    for handle in handles:
        handle.remove()
    assert torch.allclose(read_edited_logits(subject, batch, edits), theirs, atol=1e-5)


def test_what_is_captured_is_a_copy(subject, batch):
    first = capture(subject, batch, "residual", last_of(batch))
    again = first.clone()
    capture(subject, batch, "residual", last_of(batch)).zero_()
    read_last_logits(subject, batch)
    assert torch.equal(first, again)


def test_an_edit_does_not_change_its_own_values(subject, batch):
    values = capture(subject, batch, "head", last_of(batch))
    again = values.clone()
    edits = [Edit("head", layer, last_of(batch), values[layer], how="add") for layer in (0, 1, 2)]
    first = read_edited_logits(subject, batch, edits)
    assert torch.equal(values, again)
    assert torch.equal(first, read_edited_logits(subject, batch, edits))


def test_an_edit_changes_the_tokens_and_heads_that_it_names(batch):
    activation = torch.zeros(len(batch), 7, 8 * 16)
    tokens = torch.full((len(batch), 1), 5)
    Edit("head", 0, tokens, 1.0, (1,)).write(activation, 16, first=2)
    assert activation.sum() == len(batch) * 16
    assert activation[:, 3, 16:32].all()


@pytest.mark.parametrize(("how", "expected"), [("replace", 3.0), ("add", 5.0), ("scale", 6.0)])
def test_a_token_that_is_named_twice_is_changed_once(how, expected):
    activation = torch.full((1, 4, 8), 2.0)
    Edit("residual", 0, torch.tensor([[1, 1]]), 3.0, how=how).write(activation, 4)
    assert activation[0, 1].tolist() == [expected] * 8
    assert activation.sum() == 3 * 2 * 8 + 8 * expected


@pytest.mark.parametrize(
    ("kind", "heads", "how", "said"),
    [
        ("residual", (1,), "replace", "the residual stream has no heads"),
        ("head", (), "replace", "leave heads out to edit all"),
        ("head", None, "multiply", "not 'multiply'"),
    ],
)
def test_an_impossible_edit_is_refused(kind, heads, how, said):
    with pytest.raises(ValueError, match=said):
        Edit(kind, 0, torch.zeros(1, 1, dtype=torch.int64), 0.0, heads, how)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_captured_is_what_torchs_own_hooks_see(subject, batch, kind):
    tokens = torch.tensor([row[0] for row in batch.mentions])
    seen = []
    layer = find_layers(subject, subject.model)[4]
    if kind == "residual":
        handle = layer.register_forward_hook(lambda m, a, out: seen.append(out))
    elif kind == "head":
        handle = layer.self_attn.o_proj.register_forward_pre_hook(lambda m, a: seen.append(a[0]))
    else:
        module = getattr(layer.self_attn, f"{kind[0]}_proj")
        handle = module.register_forward_hook(lambda m, a, out: seen.append(out))
    read_last_logits(subject, batch)
    handle.remove()
    ours = capture(subject, batch, kind, tokens, [4])[0]
    theirs = seen[0][torch.arange(len(batch))[:, None], tokens]
    assert torch.equal(ours.flatten(2), theirs)


def test_nnsight_is_not_put_into_debug_mode_by_pytests_options():
    assert CONFIG.APP.DEBUG is False


def test_the_embedding_is_what_torchs_own_hook_sees_enter_the_first_layer(of_family):
    batch = unequal(of_family)
    every = torch.arange(batch.last + 1).repeat(len(batch), 1)
    seen = []
    layers = find_layers(of_family, of_family.model)
    handles = [x.register_forward_pre_hook(lambda m, a: seen.append(a[0])) for x in layers]
    handles += [x.register_forward_hook(lambda m, a, out: seen.append(out)) for x in layers]
    read_last_logits(of_family, batch)
    for handle in handles:
        handle.remove()
    ours = capture(of_family, batch, "embedding", every)[0]
    assert torch.equal(ours[:, :, 0], seen[0])
    assert ours.shape[2] == (3 if of_family.anatomy.deepstack else 1)
    for part in range(1, ours.shape[2]):
        # What enters a layer, less what left the one before.
        entered, left = seen[2 * part], seen[2 * part - 1]
        assert ours[:, :, part] == pytest.approx((entered - left).numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("layer", "said"), [(1, "enters layer 0, not layer 1"), (0, "2 parts|1 parts")]
)
def test_an_impossible_edit_of_the_embedding_is_refused(subject, batch, layer, said):
    tokens = torch.full((len(batch), 1), batch.last)
    with pytest.raises(ValueError, match=said):
        replay(subject, batch, [[Edit("embedding", layer, tokens, 0.0, (1,))]])
