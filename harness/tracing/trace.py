"""One run of the model under nnsight: what is read in it, what is changed, and where it happens.

The plain way to do either, and the only one where the decoder layers are not here (see
`harness.tracing.elsewhere`): then the block below is sent there, and what it reads comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import nnsight
import torch

from harness.subjects.subject import Batch, Subject
from harness.tracing.edit import Edit, write_at
from harness.tracing.elsewhere import sent
from harness.tracing.footprint import blocks
from harness.tracing.site import ORDER, Site, layers_of, read_site, traced, write_site

ROWS_SENT = 16
"""Rows of one run where the layers are elsewhere: some 50 MB are sent for a model of 7B parameters."""

LAST = torch.tensor([-1])
"""The last logits, as a tensor: inputs beside one that is none of a text's are left by nnsight as they are. It
would take the axes of position_ids (three, where a token has a place in the image) for rows."""


class Read(NamedTuple):
    """What is read: a layer, a site of it, and int64 [B, S], tokens of every row."""

    layer: int
    site: Site
    tokens: torch.Tensor


Step = tuple[int, Site, list[tuple[Any, ...]], list[int]]
"""A layer, a site of it, edits (of which rows, and what `write_at` needs), and numbers of reads.

Of no class of ours: functions are sent as their source, but what Python itself writes into a named tuple or a
dataclass as bytecode, which no other version of Python can run."""


def run(
    subject: Subject,
    batch: Batch,
    reads: Sequence[Read],
    variants: Sequence[Sequence[Edit]] = ((),),
) -> list[torch.Tensor]:
    """Whole runs of a batch under V sets of edits, and what was read in each.

    Args:
        subject: The model.
        batch: B rows.
        reads: Any number, of any layers. What is read at a site is what the edits have left there.
        variants: Sets of edits that are made together; one without any if not given.

    Returns:
        For each read float32 [V, B, S, features] on the CPU, a copy.

    Raises:
        harness.tracing.elsewhere.NotReached: The layers are elsewhere, and nothing came back.
    """
    most = len(batch) * len(variants) if subject.elsewhere is None else ROWS_SENT
    parts = blocks(0, len(batch), most)
    found = []
    largest = max(part.stop - part.start for part in parts)
    for some in blocks(0, len(variants), max(1, most // largest)):
        runs = [
            _once(
                subject,
                batch.of_rows(rows),
                [Read(r.layer, r.site, r.tokens[rows]) for r in reads],
                [[edit.of_rows(rows) for edit in variant] for variant in variants[some]],
            )
            for rows in parts
        ]
        found.append([torch.cat(pieces, 1) for pieces in zip(*runs, strict=True)])
    return [torch.cat(pieces) for pieces in zip(*found, strict=True)]


def own_logits(subject: Subject, batch: Batch) -> torch.Tensor:
    """Logits at the last token as the model itself gives them: float32 [B, vocabulary] on the CPU."""
    model = traced(subject)
    # no_grad is of this process: where the layers are elsewhere, what is read must say for itself that nobody
    # differentiates it.
    with (
        sent(subject) as where,
        torch.no_grad(),
        model.trace(**batch.inputs, use_cache=False, logits_to_keep=LAST, **where),
    ):
        found = nnsight.save(model.output.logits[:, -1].float().cpu().detach())
    return found


def _once(
    subject: Subject,
    batch: Batch,
    reads: Sequence[Read],
    variants: Sequence[Sequence[Edit]],
) -> list[torch.Tensor]:
    """One run in which the variants stand below each other as rows; [V, B, S, features]."""
    model, width, times = traced(subject), subject.head_width, len(variants)
    layers, steps = layers_of(subject, model), _steps(reads, variants, len(batch))
    rows = torch.arange(times * len(batch))[:, None]
    tokens = [read.tokens.cpu().repeat(times, 1) for read in reads]
    inputs = batch.stacked(times)
    with (
        sent(subject) as where,
        torch.no_grad(),
        model.trace(**inputs, use_cache=False, logits_to_keep=LAST, **where),
    ):
        found = nnsight.save({})
        for layer, site, edits, numbers in steps:
            value = read_site(layers[layer], site)
            if edits:
                value = value.clone()
                for part, edit in edits:
                    write_at(value[part], *edit, width)
                write_site(layers[layer], site, value)
            for number in numbers:
                # Advanced indexing copies: a later edit of the tensor in place does not show.
                found[number] = value[rows, tokens[number]].float().cpu().detach()
    return [found[n].unflatten(0, (times, -1)) for n in range(len(reads))]


def _steps(reads: Sequence[Read], variants: Sequence[Sequence[Edit]], rows: int) -> list[Step]:
    edits: dict[tuple[int, Site], list[tuple[Any, ...]]] = {}
    wanted: dict[tuple[int, Site], list[int]] = {}
    for number, variant in enumerate(variants):
        for edit in variant:
            part = slice(number * rows, (number + 1) * rows)
            edits.setdefault((edit.layer, edit.kind), []).append(
                (part, [_alone(x) for x in edit.plain])
            )
    for number, read in enumerate(reads):
        wanted.setdefault((read.layer, read.site), []).append(number)
    places = sorted({*edits, *wanted}, key=lambda place: (place[0], ORDER.index(place[1])))
    return [(*place, edits.get(place, []), wanted.get(place, [])) for place in places]


def _alone(value: Any) -> Any:
    """A tensor without the larger one that it is a part of, all of which would be sent with it."""
    if isinstance(value, torch.Tensor) and value.untyped_storage().nbytes() > value.nbytes:
        return value.clone()
    return value
