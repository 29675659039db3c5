"""Read activations and logits; what is returned is always a copy, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import nnsight
import torch

from harness.subjects.subject import Batch, Subject
from harness.tracing.site import Kind, layers_of, traced


def capture(
    subject: Subject,
    batch: Batch,
    kind: Kind,
    tokens: torch.Tensor,
    layers: Sequence[int] | None = None,
) -> torch.Tensor:
    """Activations at given tokens of every row.

    Args:
        subject: The model.
        batch: From `subject.encode`.
        kind: "residual" or "head".
        tokens: int64 [B, S], the tokens to read in each row.
        layers: Which decoder layers, ascending; all if not given.

    Returns:
        float32 on the CPU: residual [L, B, S, d], head [L, B, S, H, d/H].
    """
    chosen = range(subject.layers) if layers is None else layers
    rows = torch.arange(len(batch))[:, None]
    model = traced(subject)
    saved = []
    with torch.no_grad(), model.trace(**batch.inputs, use_cache=False, logits_to_keep=1):
        for index in chosen:
            layer = layers_of(subject, model)[index]
            if kind == "head":
                value = layer.self_attn.o_proj.input
            else:
                value = layer.output
            # Advanced indexing copies: a later edit of the tensor in place does not show.
            saved.append(nnsight.save(value[rows, tokens]))
    values = torch.stack([v.float().cpu() for v in saved])
    return values.unflatten(-1, (subject.heads, -1)) if kind == "head" else values


def last_logits(subject: Subject, batch: Batch) -> torch.Tensor:
    """Logits at the last token, float32 [B, vocabulary] on the CPU."""
    with torch.no_grad():
        logits = subject.model(**batch.inputs, use_cache=False, logits_to_keep=1).logits
    return logits[:, -1].float().cpu()
