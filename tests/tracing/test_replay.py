"""Replays give the results of whole runs, for every family and every kind of edit."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from families import loaded
from hooked import hooked_logits, unequal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.subjects.anatomy import ANATOMIES
from harness.subjects.deepstack import ADDED
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.clean import run_clean
from harness.tracing.edit import Edit
from harness.tracing.embedding import count_parts
from harness.tracing.replay import replay
from harness.tracing.site import EDITED, KINDS, find_layers

CLOSE = 1e-5
"""The most by which a logit may differ in float32; replays exist to be exact."""

few = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def edits(draw, subject, batch):
    """Any edit of any site; tokens differ between rows, and may be image tokens."""
    kind = draw(st.sampled_from(EDITED))
    real = (batch.inputs["attention_mask"] == 0).sum(-1).tolist()
    count = draw(st.integers(1, 3))
    tokens = torch.tensor(
        [
            draw(st.lists(st.integers(pad, batch.last), min_size=count, max_size=count))
            for pad in real
        ]
    )
    heads = None
    if kind == "residual":
        shape = (len(batch), count, subject.model.config.get_text_config().hidden_size)
    else:
        of = subject.key_heads if kind in ("key", "value") else subject.heads
        if kind == "embedding":
            of = count_parts(batch.inputs)
        chosen = draw(st.sets(st.integers(0, of - 1), min_size=1))
        heads = tuple(sorted(chosen)) if draw(st.booleans()) else None
        stream = subject.model.config.get_text_config().hidden_size
        width = stream if kind == "embedding" else subject.head_width
        shape = (len(batch), count, len(heads) if heads else of, width)
    seed = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    values = torch.randn(shape, generator=seed)
    # A token that is named twice must be given the same value.
    for row in range(len(batch)):
        for t in range(count):
            values[row, t] = values[row, tokens[row].tolist().index(int(tokens[row, t]))]
    how = draw(st.sampled_from(["replace", "add", "scale"]))
    if how == "scale" or draw(st.booleans()):
        values = draw(st.sampled_from([0.0, 0.5, -1.0]))
    last = 0 if kind == "embedding" else subject.layers - 1
    return Edit(kind, draw(st.integers(0, last)), tokens, values, heads, how)


@few
@given(data=st.data())
def test_any_edits_give_what_whole_runs_with_hooks_give(of_family, data):
    batch = unequal(of_family)
    variants = data.draw(
        st.lists(st.lists(edits(of_family, batch), max_size=3), min_size=1, max_size=5)
    )
    rows = data.draw(st.sampled_from([None, 1, 3, 8]))
    real = (batch.inputs["attention_mask"] == 0).sum(-1).tolist()
    at = torch.tensor([data.draw(st.integers(pad, batch.last)) for pad in real])
    ours = replay(of_family, batch, variants, at=at, rows=rows)
    for found, variant in zip(ours, variants, strict=True):
        theirs = hooked_logits(of_family, batch, ordered(variant), at)
        assert found == pytest.approx(theirs.numpy(), abs=CLOSE)


def ordered(variant):
    """The edits in the order in which a run makes them; those of one site stay in their order, as hooks do."""
    return sorted(variant, key=lambda edit: edit.place)


@few
@given(data=st.data())
def test_any_edit_gives_what_an_nnsight_trace_gives(of_family, data):
    batch = unequal(of_family)
    variant = data.draw(st.lists(edits(of_family, batch), min_size=1, max_size=2))
    ours = replay(of_family, batch, [variant])[0]
    assert ours == pytest.approx(read_edited_logits(of_family, batch, variant).numpy(), abs=CLOSE)


@pytest.mark.parametrize("condition", ["id_retrieval", "id_selection", "feature_retrieval"])
def test_every_head_alone_agrees_with_hooks_and_nnsight(of_family, condition):
    subject = of_family
    pairs = draw_contrasts(
        condition, subject.grids[2], HIGH_ENTROPY[3], 4, np.random.default_rng(2)
    )
    clean = subject.encode([p.clean for p in pairs])
    other = subject.encode([p.counterfactual for p in pairs])
    tokens = torch.full((4, 1), clean.last)
    if condition == "id_retrieval":
        # A mention with fewer tokens repeats its last one.
        longest = max(len(row[0]) for row in clean.mentions)
        tokens = torch.tensor([r[0] + r[0][-1:] * (longest - len(r[0])) for r in clean.mentions])
    values = capture(subject, other, "head", tokens)
    patches = [
        [Edit("head", layer, tokens, values[layer][:, :, [head]], (head,))]
        for layer, head in np.ndindex(subject.layers, subject.heads)
    ]
    answers = [[p.patched_answer, p.clean_answer] for p in pairs]
    read = torch.tensor(
        [
            [subject.answer_id(p.clean.prompt, word) for word in words]
            for p, words in zip(pairs, answers, strict=True)
        ]
    )
    ours = difference(replay(subject, clean, [[], *patches], read))
    before = difference(hooked_logits(subject, clean, []).gather(1, read))
    traced = difference(read_last_logits(subject, clean, read))
    for found, patch in zip(ours[1:] - ours[0], patches, strict=True):
        hooks = difference(hooked_logits(subject, clean, patch).gather(1, read)) - before
        nnsight = difference(read_edited_logits(subject, clean, patch, read)) - traced
        assert found == pytest.approx(hooks.numpy(), abs=CLOSE)
        assert found == pytest.approx(nnsight.numpy(), abs=CLOSE)


def difference(logits):
    """The difference of two answers' logits [..., 2], in float64."""
    return logits.double()[..., 0] - logits.double()[..., 1]


def doubled(subject):
    """The subject in float64, where a mistake cannot hide behind rounding."""
    return replace(subject, model=deepcopy(subject.model).double(), _images=OrderedDict())


def test_in_float64_a_replay_equals_the_whole_run(of_family):
    subject = doubled(of_family)
    batch = unequal(subject)
    seed = torch.Generator().manual_seed(0)
    tokens = torch.tensor([row[0][-2:] for row in batch.mentions])
    shape = (len(batch), 2, subject.heads, subject.head_width)
    values = torch.randn(shape, generator=seed, dtype=torch.float64)
    variants = [
        [Edit("head", layer, tokens, values[:, :, [head]], (head,))]
        for layer, head in np.ndindex(subject.layers, subject.heads)
    ]
    every = torch.arange(len(batch))[:, None].expand(-1, 5) % 5
    ours = replay(subject, batch, variants, read=every)
    for found, variant in zip(ours, variants, strict=True):
        theirs = hooked_logits(subject, batch, variant).gather(1, every)
        # These families compute final norms and attention scores in float32, whatever the dtype. The rounding
        # grows with the prompt (1.04e-6 for that of Idefics2, whose words have several tokens).
        assert found == pytest.approx(theirs.numpy(), abs=3e-6)


@pytest.mark.parametrize("family", sorted(ANATOMIES))
def test_eager_attention_gives_the_same_replay(family, family_folders):
    subjects = [loaded(family_folders[family], attention=a) for a in ("eager", "sdpa")]
    found = []
    for subject in subjects:
        batch = unequal(subject)
        tokens = torch.tensor([row[0][-2:] for row in batch.mentions])
        variants = [
            [Edit(kind, layer, tokens, 0.0)] for kind in KINDS for layer in range(subject.layers)
        ]
        ours = replay(subject, batch, variants)
        for variant, logits in zip(variants, ours, strict=True):
            theirs = hooked_logits(subject, batch, variant)
            assert logits == pytest.approx(theirs.numpy(), abs=CLOSE)
        found.append(ours)
    assert found[0] == pytest.approx(found[1].numpy(), abs=CLOSE)


def test_an_identity_patch_changes_nothing_bit_for_bit(of_family):
    batch = unequal(of_family)
    last = torch.full((len(batch), 1), batch.last)
    for layer in range(of_family.layers):
        beside = [Edit("head", layer, last, 0.0)]
        # The heads' output in the replay itself, since a whole run may differ in the last bits.
        seen = []
        attention = find_layers(of_family, of_family.model)[layer].self_attn
        handle = attention.o_proj.register_forward_pre_hook(lambda m, a, seen=seen: seen.append(a))
        replay(of_family, batch, [[], beside])
        handle.remove()
        own = seen[-1][0].unflatten(1, (2, -1))[:, 0].unflatten(-1, (of_family.heads, -1))
        identity = [Edit("head", layer, last, own)]
        # Each beside the same edit, so that both are in the same row of the same matrix product.
        same = replay(of_family, batch, [identity, beside])[0]
        assert torch.equal(same, replay(of_family, batch, [[], beside])[0])


def test_another_runs_whole_residual_stream_gives_its_answer(of_family):
    trials = draw_balanced_trials(of_family.grids[2], HIGH_ENTROPY[2], 2, np.random.default_rng(3))
    swapped = [replace(t, scene=t.scene.swapped(*t.scene.objects[:2])) for t in trials]
    clean, other = of_family.encode(trials), of_family.encode(swapped)
    every = torch.arange(clean.last + 1).repeat(2, 1)
    streams = capture(of_family, other, "residual", every)
    variants = [
        [Edit("residual", layer, every, streams[layer])] for layer in range(of_family.layers)
    ]
    goal = read_last_logits(of_family, other)
    # Features that are added to image tokens between layers are in no layer's output.
    later = {ADDED: other.inputs[ADDED]} if of_family.anatomy.deepstack else {}
    clean = replace(clean, inputs=clean.inputs | later)
    assert (goal - read_last_logits(of_family, clean)).abs().max() > 10 * CLOSE
    for found in replay(of_family, clean, variants):
        assert found == pytest.approx(goal.numpy(), abs=CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_before_an_edit_do_not_change(of_family, kind):
    batch = unequal(of_family)
    late = torch.full((len(batch), 1), batch.last - 1)
    edit = [Edit(kind, 0, late, 3.0)]
    before = torch.full((len(batch),), batch.last - 2)
    for at, same in ((before, True), (None, False)):
        edited = replay(of_family, batch, [edit, edit], at=at)[0]
        untouched = replay(of_family, batch, [[], edit], at=at)[0]
        assert torch.equal(edited, untouched) == same
        theirs = hooked_logits(of_family, batch, [], at)
        assert untouched == pytest.approx(theirs.numpy(), abs=CLOSE)


def test_image_tokens_that_look_ahead_are_run_again_as_well(of_family):
    batch = unequal(of_family, 2, 0)
    first = int(batch.image_start[0])
    inside = int(batch.image_tokens[0, batch.image_tokens.shape[1] // 2])
    ahead = of_family.anatomy.family == "gemma3"
    assert run_clean(of_family, batch, inside).start == (first if ahead else inside)


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_rows_at_once_do_not_change_results(subject, rows):
    batch = unequal(subject)
    last = torch.full((len(batch), 1), batch.last)
    variants = [[Edit("head", 7 - n, last, 0.0, (n,))] for n in range(8)]
    whole = replay(subject, batch, variants)
    assert replay(subject, batch, variants, rows=rows) == pytest.approx(whole.numpy(), abs=CLOSE)


def test_results_stand_in_the_order_of_the_variants(subject):
    batch = unequal(subject, 2, 0)
    last = torch.full((len(batch), 1), batch.last)
    variants = [[Edit("head", layer, last, 0.0)] for layer in (6, 0, 3)]
    together = replay(subject, batch, variants)
    for found, variant in zip(together, variants, strict=True):
        alone = replay(subject, batch, [variant])[0]
        assert found == pytest.approx(alone.numpy(), abs=CLOSE)
    assert (together[0] - together[1]).abs().max() > CLOSE


@pytest.mark.parametrize("fails", [False, True])
def test_a_replay_leaves_the_layers_as_they_were(subject, monkeypatch, fails):
    batch = unequal(subject, 1, 0)
    before = read_last_logits(subject, batch)
    if fails:
        write = Edit.write
        monkeypatch.setattr(Edit, "write", lambda *given: write(*given) or 1 / 0)
    edit = Edit("head", 2, torch.full((1, 1), batch.last), 0.0)
    with pytest.raises(ZeroDivisionError) if fails else nullcontext():
        replay(subject, batch, [[edit]])
    assert subject.model.config.get_text_config()._attn_implementation == "sdpa"
    assert torch.equal(read_last_logits(subject, batch), before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_an_edit_that_changes_nothing_scores_nothing(of_family, dtype):
    model = deepcopy(of_family.model).to(dtype)
    subject = replace(of_family, model=model, _images=OrderedDict())
    batch = unequal(subject)
    last = torch.full((len(batch), 1), batch.last)
    layers = range(subject.layers)
    nothing = [[Edit("head", layer, last, 1.0, how="scale")] for layer in layers]
    zeroed = [[Edit("head", layer, last, 0.0)] for layer in layers]
    read = torch.arange(4).repeat(len(batch), 1)
    before, *after = replay(subject, batch, [[], *nothing, *zeroed], read)
    own, effects = torch.stack(after).sub(before).abs().unflatten(0, (2, -1))
    assert own.max() <= torch.finfo(dtype).eps * before.abs().max()
    assert effects.mean() > 10 * own.mean()


def test_no_variants_give_no_results(subject):
    batch = unequal(subject, 2, 0)
    assert replay(subject, batch, [], torch.zeros(2, 3, dtype=torch.int64)).shape == (0, 2, 3)


def test_values_may_be_the_same_for_all_rows(subject):
    batch = unequal(subject)
    tokens = torch.full((len(batch), 1), batch.last)
    values = torch.randn(1, 1, 2, subject.head_width, generator=torch.Generator().manual_seed(0))
    edit = [Edit("head", 3, tokens, values, (1, 4))]
    theirs = hooked_logits(
        subject, batch, [replace(edit[0], values=values.expand(len(batch), -1, -1, -1))]
    )
    for rows in (None, 1, 2):
        ours = replay(subject, batch, [edit], rows=rows)[0]
        assert ours == pytest.approx(theirs.numpy(), abs=CLOSE)
