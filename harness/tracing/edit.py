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
