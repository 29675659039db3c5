"""Read activations and logits. What is returned is always a copy on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.answer import compute_logits
from harness.tracing.edit import Edit
from harness.tracing.embedding import count_parts
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
        layers: Which decoder layers, ascending; all if not given. The embedding is read in one "layer".

    Returns:
        float32 on the CPU: [1, B, S, P, d] for the P parts of the embedding; [L, B, S, d] for residual and
        norm; [L, B, S, H] for written; [L, B, S, H, w], cut into heads, for all other kinds.
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
    of_site = [[0] if kind == "embedding" else chosen for kind, _ in sites]
    reads = [
        Read(i, kind, tokens)
        for (kind, tokens), numbers in zip(sites, of_site, strict=True)
        for i in numbers
    ]
    values = iter(run(subject, batch, reads))
    found = []
    for (kind, _), numbers in zip(sites, of_site, strict=True):
        read = torch.cat([next(values) for _ in numbers])
        if kind == "embedding":
            found.append(read.unflatten(-1, (count_parts(batch.inputs), -1)))
            continue
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
