"""Write activations and read what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nnsight
import torch

from harness.subjects.subject import Batch, Subject
from harness.tracing.site import Kind, layers_of, traced


@dataclass(frozen=True)
class Edit:
    """Values put in place of what one layer computes.

    Attributes:
        kind: "residual" or "head".
        layer: Decoder layer, 0-based.
        rows: int64, broadcast with `tokens` (and `heads`): rows of the batch.
        tokens: int64, tokens of those rows.
        values: What is put there: [..., d] for a residual, [..., d/H] for heads.
        heads: int64, query heads; only for kind "head".
    """

    kind: Kind
    layer: int
    rows: torch.Tensor
    tokens: torch.Tensor
    values: torch.Tensor
    heads: torch.Tensor | None = None

    def applied(self, activation: torch.Tensor, heads: int) -> torch.Tensor:
        """A copy of a layer's activation [B, T, d] with the values in place; the original is left alone."""
        edited = activation.clone()
        values = self.values.to(edited.device, edited.dtype)
        if self.kind == "head":
            edited.unflatten(-1, (heads, -1))[self.rows, self.tokens, self.heads] = values
        else:
            edited[self.rows, self.tokens] = values
        return edited


def edited_logits(subject: Subject, batch: Batch, edits: Sequence[Edit]) -> torch.Tensor:
    """Logits at the last token after all edits in one run, float32 [B, vocabulary] on the CPU.

    Later layers see the effect of earlier edits.
    """
    model = traced(subject)
    heads = subject.heads
    ordered = sorted(edits, key=lambda e: (e.layer, e.kind == "residual"))
    with torch.no_grad(), model.trace(**batch.inputs, use_cache=False, logits_to_keep=1):
        for edit in ordered:
            layer = layers_of(subject, model)[edit.layer]
            if edit.kind == "head":
                layer.self_attn.o_proj.input = edit.applied(layer.self_attn.o_proj.input, heads)
            else:
                layer.output = edit.applied(layer.output, heads)
        logits = nnsight.save(model.lm_head.output)
    return logits[:, -1].detach().float().cpu()


def patch_each_head(
    subject: Subject, batch: Batch, tokens: torch.Tensor, values: torch.Tensor, read: torch.Tensor
) -> torch.Tensor:
    """The answer after one head at a time is patched, for every head of every layer.

    Each head is a row of its own, so nothing but that head is changed in it and everything downstream
    is recomputed.

    Args:
        subject: The model.
        batch: The clean trials, B rows.
        tokens: int64 [B, S], where to patch.
        values: [L, B, S, H, d/H], the heads' values in the counterfactual run, from `capture`.
        read: int64 [B, A], ids of the tokens whose logits are read at the last token.

    Returns:
        float32 [L, H, B, A] on the CPU.
    """
    heads, rows = subject.heads, len(batch)
    wide = batch.repeated(heads)
    head = torch.arange(heads).repeat(rows)[:, None]
    row = torch.arange(rows * heads)[:, None]
    read_wide = read.repeat_interleave(heads, 0)
    results = []
    for layer in range(subject.layers):
        per_head = values[layer].transpose(1, 2).flatten(0, 1)
        edit = Edit("head", layer, row, tokens.repeat_interleave(heads, 0), per_head, head)
        logits = edited_logits(subject, wide, [edit]).gather(1, read_wide)
        results.append(logits.unflatten(0, (rows, heads)).transpose(0, 1))
    return torch.stack(results)
