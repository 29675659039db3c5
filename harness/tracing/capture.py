"""Read activations and logits. What is returned is always a copy on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.answer import compute_logits
from harness.tracing.edit import Edit
from harness.tracing.site import Site, find_layers
from harness.tracing.trace import Read, run


def capture(
    subject: Subject,
    batch: Batch,
    kind: Site,
    tokens: torch.Tensor,
    layers: Sequence[int] | None = None,
) -> torch.Tensor:
    """Read the activations at given tokens of every row.

    Args:
        subject: The model.
        batch: From `subject.encode`.
        kind: What is read, see `harness.tracing.site.Site`.
        tokens: int64 [B, S], the tokens to read in each row.
        layers: Which decoder layers, ascending; all if not given.

    Returns:
        float32 on the CPU: [L, B, S, d] for residual and norm; [L, B, S, H] for written; [L, B, S, H, w], cut
        into heads, for all other kinds.
    """
    return capture_sites(subject, batch, [(kind, tokens)], layers)[0]


def capture_sites(
    subject: Subject,
    batch: Batch,
    sites: Sequence[tuple[Site, torch.Tensor]],
    layers: Sequence[int] | None = None,
) -> list[torch.Tensor]:
    """Read the activations at several sites, all in one run of the model.

    Args:
        subject: The model.
        batch: From `subject.encode`.
        sites: For each site its kind, and int64 [B, S], the tokens to read there in each row.
        layers: Which decoder layers, ascending; all if not given.

    Returns:
        For each of `sites` what `capture` returns.
    """
    chosen = range(subject.layers) if layers is None else layers
    reads = [Read(i, kind, tokens) for kind, tokens in sites for i in chosen]
    values = run(subject, batch, reads)
    found = []
    for number, (kind, _) in enumerate(sites):
        read = torch.cat(values[number * len(chosen) : (number + 1) * len(chosen)])
        whole = kind in ("residual", "norm", "written")
        found.append(read if whole else read.unflatten(-1, (-1, subject.head_width)))
    return found


def read_last_logits(
    subject: Subject, batch: Batch, read: torch.Tensor | None = None
) -> torch.Tensor:
    """Logits at the last token, [B, A] or [B, vocabulary], as `compute_logits` gives them."""
    if subject.elsewhere is not None:
        return read_edited_logits(subject, batch, [], read)
    hidden: list[torch.Tensor] = []
    handle = find_layers(subject, subject.model)[-1].register_forward_hook(
        lambda module, given, output: hidden.append(output[:, -1])
    )
    try:
        with torch.no_grad():
            subject.model(**batch.inputs, use_cache=False, logits_to_keep=1)
            return compute_logits(subject, hidden[0], read)
    finally:
        handle.remove()


def read_edited_logits(
    subject: Subject, batch: Batch, edits: Sequence[Edit], read: torch.Tensor | None = None
) -> torch.Tensor:
    """Logits at the last token of one whole run in which all edits are made.

    Later layers see the effect of earlier edits. `harness.tracing.replay` gives the same numbers without
    computing what the edits cannot change; this is the reference that it is checked against.

    Returns:
        [B, A] or [B, vocabulary], as `harness.tracing.answer.compute_logits` returns them.
    """
    last = Read(subject.layers - 1, "residual", torch.full((len(batch), 1), batch.last))
    [hidden] = run(subject, batch, [last], [edits])
    with torch.no_grad():
        return compute_logits(subject, hidden[0, :, 0].to(subject.device), read)
