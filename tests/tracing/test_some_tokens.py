"""Layers of a replay run at the tokens that matter alone, and give what they give at all of them."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from hooked import hooked_logits, unequal

from harness.tracing.edit import Edit
from harness.tracing.replay import replay
from harness.tracing.site import KINDS, find_layers

CLOSE = 1e-5


@pytest.fixture
def batch(subject):
    return unequal(subject)


@pytest.fixture
def tokens_of(subject):
    """A function that says how many tokens go through the MLP of each layer, call by call."""

    def watch(act):
        seen = defaultdict(list)
        handles = [
            layer.mlp.register_forward_pre_hook(
                lambda m, given, at=at: seen[at].append(given[0].shape[:-1].numel())
            )
            for at, layer in enumerate(find_layers(subject, subject.model))
        ]
        act()
        for handle in handles:
            handle.remove()
        return seen

    return watch


def mention(batch, back=3):
    """Two tokens of each row that lie before the last one."""
    return torch.tensor([[batch.last - back, batch.last - back + 1]]).expand(len(batch), -1)


def test_only_edited_tokens_run_where_heads_are_edited_and_one_in_the_last_layer(
    subject, batch, tokens_of
):
    rows, whole, last = len(batch), len(batch) * (batch.last + 1), subject.layers - 1
    heads = [[Edit("head", 5, mention(batch), 0.0, (h,))] for h in range(3)]
    seen = tokens_of(lambda: replay(subject, batch, heads))
    # The whole run, the same again from the first edited token on as variants are rounded, then the variants.
    own = 4
    assert seen[4] == [whole, rows * own]
    assert seen[5] == [whole, rows * own, 3 * rows * 2]
    assert seen[6] == [whole, rows * own, 3 * rows * own]
    # The last layer's keys are all that is needed of the whole run, and of variants the token that is read.
    assert seen[last] == [rows * own, 3 * rows]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_edited_just_before_the_heads_reaches_them(subject, batch, kind):
    """The first layer is then not as in the clean run, though its first edit inside is of heads."""
    tokens = mention(batch)
    at = 4 if kind == "residual" else 5
    variant = [Edit(kind, at, tokens, -1.0, how="scale"), Edit("head", 5, tokens[:, 1:], 0.0, (2,))]
    alone = [variant[1]]
    found = replay(subject, batch, [alone, variant, []])
    for logits, edits in zip(found, (alone, variant, []), strict=True):
        theirs = hooked_logits(subject, batch, sorted(edits, key=lambda edit: edit.place))
        assert logits == pytest.approx(theirs.numpy(), abs=CLOSE)
    assert (found[0] - found[1]).abs().max() > 3 * CLOSE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("back", [0, 2, 3])
def test_edits_of_the_last_layer_are_made_at_whichever_token_is_read(subject, batch, kind, back):
    last = subject.layers - 1
    at = torch.full((len(batch),), batch.last - back)
    variants = [
        [Edit(kind, last, mention(batch), 2.0, how="scale")],
        [Edit("head", 3, mention(batch), 0.0), Edit(kind, last, at[:, None], 0.0)],
        [Edit("residual", 2, mention(batch), 1.1, how="scale")],
    ]
    for found, variant in zip(replay(subject, batch, variants, at=at), variants, strict=True):
        theirs = hooked_logits(subject, batch, variant, at)
        assert found == pytest.approx(theirs.numpy(), abs=CLOSE)


def test_variants_that_join_at_one_layer_in_different_ways_keep_their_order(subject, batch):
    tokens = mention(batch)
    variants = [
        [Edit("head", 3, tokens, 0.0, (1,))],
        [],
        [Edit("query", 3, tokens, 0.0)],
        [Edit("head", 3, tokens[:, :1], 0.0, (2,)), Edit("head", 3, tokens, 0.0, (4,))],
        [Edit("residual", 2, tokens, 0.0)],
        [Edit("residual", subject.layers - 1, tokens, 0.0)],
    ]
    at = tokens[:, 1]
    for found, variant in zip(replay(subject, batch, variants, at=at), variants, strict=True):
        theirs = hooked_logits(subject, batch, variant, at)
        assert found == pytest.approx(theirs.numpy(), abs=CLOSE)
