"""Read activations and logits; what is returned is always a copy, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import nnsight
import torch

from harness.subjects.subject import Batch, Subject
from harness.tracing.answer import logits_of
from harness.tracing.site import Kind, layers_of, read_site, traced


def capture(
    subject: Subject,
    batch: Batch,
    kind: Kind | Literal["norm"],
    tokens: torch.Tensor,
    layers: Sequence[int] | None = None,
) -> torch.Tensor:
    """Activations at given tokens of every row.

    Args:
        subject: The model.
        batch: From `subject.encode`.
        kind: What is read, see `harness.tracing.site.Kind`.
        tokens: int64 [B, S], the tokens to read in each row.
        layers: Which decoder layers, ascending; all if not given.

    Returns:
        float32 on the CPU: residual and norm [L, B, S, d]; of all other kinds [L, B, S, H, w], cut into
        heads.
    """
    chosen = range(subject.layers) if layers is None else layers
    rows = torch.arange(len(batch))[:, None]
    model = traced(subject)
    saved = []
    with torch.no_grad(), model.trace(**batch.inputs, use_cache=False, logits_to_keep=1):
        for index in chosen:
            value = read_site(layers_of(subject, model)[index], kind)
            # Advanced indexing copies: a later edit of the tensor in place does not show.
            saved.append(nnsight.save(value[rows, tokens]))
    values = torch.stack([v.float().cpu() for v in saved])
    return (
        values if kind in ("residual", "norm") else values.unflatten(-1, (-1, subject.head_width))
    )


def last_logits(subject: Subject, batch: Batch, read: torch.Tensor | None = None) -> torch.Tensor:
    """Logits at the last token, see `harness.tracing.answer.logits_of`: [B, A] or [B, vocabulary]."""
    hidden: list[torch.Tensor] = []
    handle = layers_of(subject, subject.model)[-1].register_forward_hook(
        lambda module, given, output: hidden.append(output[:, -1])
    )
    try:
        with torch.no_grad():
            subject.model(**batch.inputs, use_cache=False, logits_to_keep=1)
            return logits_of(subject, hidden[0], read)
    finally:
        handle.remove()
