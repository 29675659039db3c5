"""Exact results of many edits without computing again what none of them can change.

A patch at token p changes nothing before p, and one at layer l nothing before l. So keys and values of
the tokens before the first edited one come from one clean run, each variant starts at the layer that it
edits, and variants that have started run together: every layer is called once for all of them. Each
variant is changed by its own edits alone, and everything downstream of them is computed, so the result is
that of a whole run with those edits, to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from harness.subjects.subject import Batch, Subject
from harness.tracing.answer import logits_of
from harness.tracing.clean import CleanRun, run_clean
from harness.tracing.edit import Edit
from harness.tracing.memory import Footprint, OutOfMemory, is_out_of_memory, rows_at_once

Variant = Sequence[Edit]
"""Edits that are made together in one run; none for a run as it is."""


def replay(
    subject: Subject,
    batch: Batch,
    variants: Sequence[Variant],
    read: torch.Tensor | None = None,
    *,
    at: torch.Tensor | None = None,
    rows: int | None = None,
) -> torch.Tensor:
    """Logits of every trial under every variant, each on its own.

    Args:
        subject: The model.
        batch: The clean trials, B rows.
        variants: V sets of edits.
        read: int64 [B, A], tokens whose logits are read; the whole vocabulary if None.
        at: int64 [B], the position at which they are read; the last token if None.
        rows: Trials times variants that run at once; as many as free memory allows if None. What comes
            out does not depend on it, but for rounding.

    Returns:
        On the CPU: float64 [V, B, A], or float32 [V, B, vocabulary], whatever the model's dtype.

    Raises:
        harness.tracing.memory.OutOfMemory: One trial and one variant alone do not fit.
        ValueError: An edit of a layer that the model does not have.
    """
    for edit in (e for v in variants for e in v):
        if not 0 <= edit.layer < subject.layers:
            raise ValueError(
                f"{subject.name}: no layer {edit.layer}; it has 0 to {subject.layers - 1}"
            )
    if at is None:
        at = torch.full((len(batch),), batch.last)
    first = [int(e.tokens.min()) for v in variants for e in v]
    start = min([int(at.min()), *first])
    # Variants that start late run through few layers; neighbours start together.
    order = sorted(range(len(variants)), key=lambda v: _entry(variants[v]))
    ordered = [variants[v] for v in order]
    footprint = Footprint.of(subject, batch.last + 1, start)
    limit = rows or rows_at_once(footprint, subject.device)
    trials = max(
        1, min(len(batch), limit // max(1, len(variants)), footprint.trials(subject.device))
    )
    found = torch.cat(
        [
            _of_trials(subject, batch, block, ordered, read, at, start, limit)
            for block in _blocks(len(batch), trials)
        ],
        1,
    )
    restored = torch.empty_like(found)
    restored[order] = found
    return restored


def _of_trials(
    subject: Subject,
    batch: Batch,
    block: slice,
    variants: Sequence[Variant],
    read: torch.Tensor | None,
    at: torch.Tensor,
    start: int,
    limit: int,
) -> torch.Tensor:
    """Some trials under all variants; fewer at a time where memory does not suffice."""
    size = block.stop - block.start
    mine = [[e.of_rows(block) for e in v] for v in variants]
    chosen = None if read is None else read[block]
    try:
        clean = run_clean(subject, batch.of_rows(block), start)
        return torch.cat(
            [
                _of_variants(clean, mine[part], chosen, at[block])
                for part in _blocks(len(mine), max(1, limit // size))
            ]
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).splitlines()[0]
    # Outside the handler, whose traceback would keep the tensors that did not fit.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if size == 1 and limit == 1:
        raise OutOfMemory(
            f"{subject.name}: one trial of {batch.last + 1} tokens does not fit into memory ({reason})"
        )
    middle = block.start + size // 2
    halves = [slice(block.start, middle), slice(middle, block.stop)] if size > 1 else [block]
    found = [
        _of_trials(subject, batch, half, variants, read, at, start, max(1, limit // 2))
        for half in halves
    ]
    return torch.cat(found, 1)


@torch.no_grad()
def _of_variants(
    clean: CleanRun, variants: Sequence[Variant], read: torch.Tensor | None, at: torch.Tensor
) -> torch.Tensor:
    """All layers once, with the variants that have started; [V, B, A]."""
    # A variant without edits joins the first that has some: as a row beside them it is rounded alike.
    begun = min((_entry(v) for v in variants if v), default=clean.subject.layers)
    hidden = clean.entering[0][:, None][:, :0]
    running: list[Variant] = []
    waiting = list(variants)
    for index in range(clean.subject.layers + 1):
        joining = 0
        while waiting and max(_entry(waiting[0]), begun) == index:
            running.append(waiting.pop(0))
            joining += 1
        if joining:
            new = clean.entering[index][:, None].expand(-1, joining, -1, -1)
            hidden = torch.cat([hidden, new], 1)
        if not running:
            continue
        if index:
            for variant, edit in _edits_of(running, index - 1, residual=True):
                edit.write(hidden[:, variant], clean.subject.head_width, clean.start)
        if index < clean.subject.layers:
            hidden = clean.advance(index, hidden, _edits_of(running, index, residual=False))
    rows = torch.arange(len(hidden), device=hidden.device)
    last = hidden[rows, :, at.to(hidden.device) - clean.start].transpose(0, 1)
    return logits_of(clean.subject, last, read)


def _edits_of(running: Sequence[Variant], layer: int, *, residual: bool) -> list[tuple[int, Edit]]:
    """(variant, edit) of one layer: those of its output, or those inside it, in the order of the sites."""
    found = [
        (number, edit)
        for number, variant in enumerate(running)
        for edit in variant
        if edit.layer == layer and (edit.kind == "residual") == residual
    ]
    return sorted(found, key=lambda item: item[1].place)


def _entry(variant: Variant) -> int:
    """The first layer that a variant runs; one that edits a layer's output starts at the next."""
    return min((e.layer + (e.kind == "residual") for e in variant), default=0)


def _blocks(length: int, size: int) -> list[slice]:
    """Blocks of at most `size`, as even as can be, so that none is a small rest."""
    count = -(-length // size)
    edges = [length * i // count for i in range(count + 1)] if count else []
    return [slice(a, b) for a, b in pairwise(edges)]
