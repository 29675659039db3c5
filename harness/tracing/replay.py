"""Exact results of many edits without computing again what none of them can change.

A patch at token p changes nothing before p, and one at layer l nothing before l. So the keys and values of
the tokens before the first edited one come from one clean run, each variant starts at the first layer that it
edits, and variants that have started run together: every layer is called once for all of them. Each variant
is changed by its own edits alone, and everything downstream of them is computed. So the result is that of a
whole run with those edits, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch

from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.answer import compute_logits
from harness.tracing.clean import CleanRun, run_clean
from harness.tracing.edit import Edit
from harness.tracing.embedding import count_parts
from harness.tracing.footprint import (
    Footprint,
    OutOfMemory,
    count_rows_that_fit,
    count_trials_that_fit,
    cut_evenly,
    is_out_of_memory,
)
from harness.tracing.trace import Read, run

Variant = Sequence[Edit]
"""Edits that are made together in one run; without any it is the clean run."""


def replay(
    subject: Subject,
    batch: Batch,
    variants: Sequence[Variant],
    read: torch.Tensor | None = None,
    *,
    at: torch.Tensor | None = None,
    rows: int | None = None,
) -> torch.Tensor:
    """Compute the logits of every trial under every variant, each on its own.

    Args:
        subject: The model.
        batch: The clean trials, B rows.
        variants: V sets of edits.
        read: int64 [B, A], tokens whose logits are read; the whole vocabulary if None.
        at: int64 [B], the index of the token at which they are read, which is not padding; the last token
            if None.
        rows: Trials times variants that run at once; as many as free memory allows if None. Results depend
            on it by rounding only.

    Returns:
        On the CPU: float64 [V, B, A], or float32 [V, B, vocabulary], whatever the model's dtype.

    Raises:
        harness.tracing.footprint.OutOfMemory: One trial and one variant alone do not fit.
        ValueError: A layer or token does not exist, or a tensor has another number of rows than the batch.
    """
    _check(subject, batch, variants, read, at)
    at = torch.full((len(batch),), batch.last) if at is None else at
    vocabulary = len(subject.model.get_output_embeddings().weight)
    width = vocabulary if read is None else read.shape[1]
    dtype = torch.float32 if read is None else torch.float64
    found = torch.empty(len(variants), len(batch), width, dtype=dtype)
    if not variants:
        return found
    if subject.elsewhere is not None:
        last = Read(subject.layers - 1, "residual", at[:, None])
        [hidden] = run(subject, batch, [last], variants)
        return compute_logits(subject, hidden[:, :, 0], read)
    edited = [e.tokens for v in variants for e in v if e.tokens.numel()]
    start = min(int(tokens.min()) for tokens in (at, *edited))
    # Sorted, since those that run at once should start at about the same layer: late ones run few layers.
    order = sorted(range(len(variants)), key=lambda v: _find_entry(variants[v]))
    footprint = Footprint.of(subject, batch, start, whole_vocabulary=read is None)
    limit = rows or count_rows_that_fit(footprint, subject.device)
    size = min(limit // len(variants), count_trials_that_fit(footprint, subject.device))
    waiting = cut_evenly(0, len(batch), max(1, size))
    while waiting:
        block = waiting.pop(0)
        size = block.stop - block.start
        try:
            found[order, block] = _replay_trials(
                subject,
                batch.of_rows(block),
                [[e.of_rows(block) for e in variants[v]] for v in order],
                None if read is None else read[block],
                at[block],
                start,
                max(1, limit // size),
            )
            continue
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
        # Outside the handler, since the error's traceback holds the tensors that did not fit.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        failed = min(limit, size * len(variants))
        if failed == 1:
            raise OutOfMemory(
                f"{subject.name}: one trial of {batch.last + 1} tokens does not fit into memory ({reason})"
            )
        limit = failed // 2
        size = max(1, limit // len(variants))
        waiting = [part for b in (block, *waiting) for part in cut_evenly(b.start, b.stop, size)]
    return found


def _check(
    subject: Subject,
    batch: Batch,
    variants: Sequence[Variant],
    read: torch.Tensor | None,
    at: torch.Tensor | None,
) -> None:
    """Refuse edits and tensors that do not fit the model and the batch, before anything is run."""

    def refuse(what: str) -> NoReturn:
        raise ValueError(f"{subject.name}: {what}")

    rows = len(batch)
    for name, given in (("read", read), ("at", at)):
        if given is not None and len(given) != rows:
            refuse(f"{name} has {len(given)} rows, the batch has {rows}")
    for edit in (e for v in variants for e in v):
        if not 0 <= edit.layer < subject.layers:
            refuse(f"no layer {edit.layer}; it has 0 to {subject.layers - 1}")
        if len(edit.tokens) != rows:
            refuse(f"an edit's tokens have {len(edit.tokens)} rows, the batch has {rows}")
        if edit.kind == "embedding" and max(edit.heads or (0,)) >= count_parts(batch.inputs):
            refuse(
                f"the embedding has {count_parts(batch.inputs)} parts, an edit is of {edit.heads}"
            )
        values = edit.values
        if isinstance(values, torch.Tensor) and edit.by_row and len(values) not in (1, rows):
            refuse(f"an edit's values have {len(values)} rows, the batch has {rows}")
    tokens = [e.tokens for v in variants for e in v if e.tokens.numel()]
    if at is not None:
        tokens.append(at)
    for named in tokens:
        if not 0 <= int(named.min()) <= int(named.max()) <= batch.last:
            refuse(f"tokens {int(named.min())} to {int(named.max())}; there are 0 to {batch.last}")


def _replay_trials(
    subject: Subject,
    batch: Batch,
    variants: Sequence[Variant],
    read: torch.Tensor | None,
    at: torch.Tensor,
    start: int,
    variants_at_once: int,
) -> torch.Tensor:
    """Logits [V, B, A] of a block of trials under all variants, from one clean run."""
    clean = run_clean(subject, batch, start)
    parts = cut_evenly(0, len(variants), variants_at_once)
    return torch.cat([_replay_variants(clean, variants[part], read, at) for part in parts])


@torch.no_grad()
def _replay_variants(
    clean: CleanRun, variants: Sequence[Variant], read: torch.Tensor | None, at: torch.Tensor
) -> torch.Tensor:
    """Logits [V, B, A] of some variants, which join one pass through the layers where they first differ."""
    # A variant without edits starts with the first that has some: as a row beside them it is rounded alike.
    begun = min((_find_entry(v) for v in variants if v), default=clean.subject.layers)
    clean.scratch.variants = len(variants)
    hidden = clean.entering[0][:, None][:, :0]
    running: list[Variant] = []
    waiting = list(variants)
    for index in range(clean.subject.layers + 1):
        joining = 0
        while waiting and max(_find_entry(waiting[0]), begun) == index:
            running.append(waiting.pop(0))
            joining += 1
        if joining:
            new = clean.entering[index][:, None].expand(-1, joining, -1, -1)
            hidden = torch.cat([hidden, new], 1)
        if not running:
            continue
        parts = _select_parts(running, index) if index in clean.given_layers else []
        for variant, edit in _select_edits(running, index - 1, residual=True) if index else parts:
            edit.write(hidden[:, variant], clean.subject.head_width, clean.start)
        if index < clean.subject.layers:
            edits = _select_edits(running, index, residual=False)
            hidden = clean.advance(index, hidden, edits, parts)
    rows = torch.arange(len(hidden), device=hidden.device)
    last = hidden[rows, :, at.to(hidden.device) - clean.start].transpose(0, 1)
    return compute_logits(clean.subject, last, read)


def _select_edits(
    running: Sequence[Variant], layer: int, *, residual: bool
) -> list[tuple[int, Edit]]:
    """(variant, edit) for one layer, either of its output or inside it, in the order of the sites."""
    found = [
        (number, edit)
        for number, variant in enumerate(running)
        for edit in variant
        if edit.layer == layer
        and edit.kind != "embedding"
        and (edit.kind == "residual") == residual
    ]
    return sorted(found, key=lambda item: item[1].place)


def _select_parts(running: Sequence[Variant], layer: int) -> list[tuple[int, Edit]]:
    """(variant, edit) for the part of the embedding that enters a layer."""
    found = [
        (number, edit.select_part(layer))
        for number, variant in enumerate(running)
        for edit in variant
        if edit.kind == "embedding"
    ]
    return [(number, edit) for number, edit in found if edit is not None]


def _find_entry(variant: Variant) -> int:
    """The first layer that a variant has to run: one that it edits inside, or that after an edited output."""
    return min((e.layer + (e.kind == "residual") for e in variant), default=0)
