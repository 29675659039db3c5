"""Layers of a replay that need not run at all tokens: the first one that a variant edits, and the last.

In a layer in which only outputs of heads are edited, everything before them is as in the clean run, and what
follows them changes at the edited tokens alone. In the last layer only the token that is read is needed, with
the keys and values of the others. Both are what the layer itself computes, called with some of the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.tracing.attention import KeysTaken, Known, Shared, shared_attention
from harness.tracing.clean import CleanRun
from harness.tracing.edit import Edit
from harness.tracing.site import MODULES, find_layers

Numbered = tuple[int, Edit]
"""An edit with the number of the variant that makes it."""


def begins_at_heads(variant: Sequence[Edit], layer: int) -> bool:
    """Whether a variant that starts in a layer edits outputs of heads there, and nothing before them."""
    before = any(edit.layer == layer - 1 for edit in variant)
    kinds = {edit.kind for edit in variant if edit.layer == layer} - {"residual"}
    return kinds == {"head"} and not before


def start_at_heads(clean: CleanRun, layer: int, variants: Sequence[Sequence[Edit]]) -> torch.Tensor:
    """The output of the first layer that some variants run, in which they edit outputs of heads alone.

    Args:
        clean: The clean run.
        layer: Which layer.
        variants: V sets of edits; one without any is run at the tokens of another, to be rounded as that one.

    Returns:
        [B, V, S, d], before any edit of the layer's output.
    """
    edits = [[e for e in v if e.layer == layer and e.kind == "head"] for v in variants]
    tokens = _list_tokens(edits) - clean.start
    rows, _, count = tokens.shape
    own, entering = clean.heads[layer], clean.enter(layer, clean.entering[layer][:, None])
    heads = own.new_empty(rows, len(edits), count, own.shape[-1])
    for number, these in enumerate(edits):
        changed = own.clone()
        for edit in these:
            edit.write(changed, clean.subject.head_width, clean.start)
        heads[:, number] = _take(changed[:, None], tokens[:, [number]])[:, 0]
    output = _call(clean, layer, _take(entering, tokens), tokens, Known(heads.flatten(1, 2)))
    result = clean.entering[layer + 1][:, None].repeat(1, len(edits), 1, 1)
    # Layers of a subject that is spread over several GPUs are not all on one.
    at = tokens.to(result.device)[..., None].expand(-1, -1, -1, result.shape[-1])
    return result.scatter_(2, at, output.to(result.device))


def finish_at(
    clean: CleanRun,
    hidden: torch.Tensor,
    edits: Sequence[Numbered],
    at: torch.Tensor,
    later: Sequence[Numbered] = (),
) -> torch.Tensor:
    """The output of the last layer at the one token of each row that is read.

    Args:
        clean: The clean run.
        hidden: [B, V, S, d], the output of the layer before it.
        edits: (variant, edit) for every change inside the layer, in the order of the sites.
        at: int64 [B], which of the S tokens is read.
        later: (variant, edit) for every change of what the text model adds to the layer's input.

    Returns:
        [B, V, d], before any edit of the layer's output.
    """
    last = clean.subject.layers - 1
    _, variants, own, _ = hidden.shape
    if own == 1:
        return clean.advance(last, hidden, edits, later)[:, :, 0]
    module = find_layers(clean.subject, clean.subject.model)[last]
    hidden = clean.enter(last, hidden, later)
    every = torch.arange(own).expand(*hidden.shape[:3])
    with clean.edited(module, variants, [e for e in edits if e[1].kind in ("key", "value")]):
        try:
            _call(clean, last, hidden, every, None)
        except KeysTaken as taken:
            kept = taken.keys, taken.values
    bias = clean.biases[last]
    if bias is not None:
        bias = _take(bias.expand(len(at), -1, -1, -1), at[:, None, None])
    shared = Shared(clean.keys[last], clean.values[last], bias, variants, clean.scratch, kept)
    handles = [
        _hook_at(clean, module, variants, number, edit, at)
        for number, edit in edits
        if edit.kind in ("query", "head")
    ]
    tokens = at[:, None, None].expand(-1, variants, 1)
    try:
        return _call(clean, last, _take(hidden, tokens), tokens, shared)[:, :, 0]
    finally:
        for handle in handles:
            handle.remove()


def write_at_token(
    clean: CleanRun, edit: Edit, activation: torch.Tensor, at: torch.Tensor
) -> torch.Tensor:
    """What an edit makes of an activation [B, features] that is there at one token of each row only.

    Args:
        clean: The clean run.
        edit: The edit, of any tokens.
        activation: What the edit's layer has at the edit's site.
        at: int64 [B], which of the last S tokens it is of.
    """
    at = at.to(activation.device)
    row = torch.arange(len(activation), device=at.device)
    every = activation.new_zeros(len(activation), clean.entering[0].shape[1], activation.shape[-1])
    every[row, at] = activation
    edit.write(every, clean.subject.head_width, clean.start)
    return every[row, at]


def _list_tokens(edits: Sequence[Sequence[Edit]]) -> torch.Tensor:
    """For each row and variant the tokens that it edits, int64 [B, V, K]; those of another if it edits none."""
    named = [torch.cat([e.tokens for e in own], 1) if own else None for own in edits]
    given = [tokens for tokens in named if tokens is not None]
    longest = max(tokens.shape[1] for tokens in given)
    # Those with fewer repeat their first one.
    full = [
        torch.cat([tokens, tokens[:, :1].expand(-1, longest - tokens.shape[1])], 1)
        for tokens in (given[0] if tokens is None else tokens for tokens in named)
    ]
    return torch.stack(full, 1)


def _take(values: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The values [B, V or 1, S, d] at some tokens [B, V, K] of each row and variant, [B, V, K, d]."""
    at = tokens.to(values.device)[..., None].expand(-1, -1, -1, values.shape[-1])
    return values.expand(-1, tokens.shape[1], -1, -1).gather(2, at)


def _call(
    clean: CleanRun,
    layer: int,
    entering: torch.Tensor,
    tokens: torch.Tensor,
    attention: Shared | Known | None,
) -> torch.Tensor:
    """Call a decoder layer with some tokens of each variant.

    Args:
        clean: The clean run.
        layer: Which layer.
        entering: [B, V, K, d], its input at these tokens.
        tokens: int64 [B, V, K], counted from the clean run's start.
        attention: What `attend` is given.

    Returns:
        [B, V, K, d].
    """
    module = find_layers(clean.subject, clean.subject.model)[layer]
    given = dict(clean.given[layer])
    given["position_embeddings"] = tuple(
        _take(each.expand(len(tokens), -1, -1)[:, None], tokens).flatten(1, 2)
        for each in given["position_embeddings"]
    )
    with shared_attention(module.self_attn.config):
        output = module(entering.flatten(1, 2), attention_mask=attention, **given)
    return output.view(entering.shape)


def _hook_at(
    clean: CleanRun,
    module: torch.nn.Module,
    variants: int,
    number: int,
    edit: Edit,
    at: torch.Tensor,
) -> torch.utils.hooks.RemovableHandle:
    """Make an edit at a site of a layer that runs at one token of each row, until the handle is removed."""

    def change(activation: torch.Tensor) -> torch.Tensor:
        by_variant = activation.unflatten(1, (variants, 1))
        by_variant[:, number, 0] = write_at_token(clean, edit, by_variant[:, number, 0], at)
        return activation

    name, side = MODULES[edit.kind]
    part = module.get_submodule(f"self_attn.{name}")
    if side == "input":
        return part.register_forward_pre_hook(lambda m, given: (change(given[0]),))
    return part.register_forward_hook(lambda m, given, output: change(output))
