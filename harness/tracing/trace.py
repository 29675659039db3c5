"""Whole runs of the model under nnsight, with what is read and changed in them.

This is the plain way to read or to edit, and the only one for decoder layers that are elsewhere (see
`harness.tracing.elsewhere`): the block of code under `model.trace` is sent there, and what it reads comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import nnsight
import torch

from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit, PlainEdit, write_at
from harness.tracing.elsewhere import send_trace
from harness.tracing.embedding import read_embedding, write_embedding
from harness.tracing.footprint import cut_evenly
from harness.tracing.site import (
    ORDER,
    Site,
    find_layers,
    measure_written,
    read_site,
    wrap_model,
    write_site,
)

ROWS_SENT = 16
"""Most rows of one run where the layers are elsewhere; for a model of 7B parameters some 50 MB are sent."""

LAST = torch.tensor([-1])
"""Asks for the logits of the last token only. As a tensor it is an input that no text model has, which makes
nnsight leave all inputs as they are; else it takes the three axes of position_ids in some families for rows."""


class Read(NamedTuple):
    """What to read in a run: one site of one layer, at given tokens.

    Attributes:
        layer: Decoder layer, 0-based.
        site: The site of that layer.
        tokens: int64 [B, S], the tokens of every row.
    """

    layer: int
    site: Site
    tokens: torch.Tensor


Step = tuple[int, Site, list[tuple[slice, PlainEdit]], list[int]]
"""A layer, a site of it, the edits there with the rows that each changes, and the numbers of the reads there.

It has no class of this project. Functions are sent as their source, but what Python itself writes into a named
tuple or a dataclass is sent as bytecode, which no other version of Python can run."""


def run(
    subject: Subject,
    batch: Batch,
    reads: Sequence[Read],
    variants: Sequence[Sequence[Edit]] = ((),),
) -> list[torch.Tensor]:
    """Run a batch whole under each of V sets of edits, and read activations in every run.

    Args:
        subject: The model.
        batch: B rows.
        reads: Any number, of any layers. At a site that is edited, the edited activation is read.
        variants: V sets of edits, each made together in one run; if not given, one run without edits.

    Returns:
        For each read a copy on the CPU, float32 [V, B, S, features].

    Raises:
        harness.tracing.elsewhere.NotReached: The layers are elsewhere, and no result came back.
    """
    most = len(batch) * len(variants) if subject.elsewhere is None else ROWS_SENT
    parts = cut_evenly(0, len(batch), most)
    found = []
    largest = max(part.stop - part.start for part in parts)
    for some in cut_evenly(0, len(variants), max(1, most // largest)):
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


def read_own_logits(subject: Subject, batch: Batch) -> torch.Tensor:
    """Logits at the last token as the model itself computes them, float32 [B, vocabulary] on the CPU."""
    model = wrap_model(subject)
    # no_grad holds in this process only; where the layers are elsewhere, `detach` does it.
    with (
        send_trace(subject) as where,
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
    """Run all variants at once, one below the other as rows; for each read float32 [V, B, S, features]."""
    model, width, times = wrap_model(subject), subject.head_width, len(variants)
    layers, steps = find_layers(subject, model), _plan_steps(reads, variants, len(batch))
    rows = torch.arange(times * len(batch))[:, None]
    tokens = [read.tokens.cpu().repeat(times, 1) for read in reads]
    inputs = batch.stacked(times)
    for number, variant in enumerate(variants):
        write_embedding(inputs, variant, slice(number * len(batch), (number + 1) * len(batch)))
    embedded = {
        number: read_embedding(inputs, tokens[number])
        for number, read in enumerate(reads)
        if read.site == "embedding"
    }
    if len(embedded) == len(reads):
        return [embedded[n].unflatten(0, (times, -1)) for n in range(len(reads))]
    with (
        send_trace(subject) as where,
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
                if site == "written":
                    given = value[rows, tokens[number]]
                    weight = layers[layer].self_attn.o_proj.weight
                    found[number] = measure_written(given, weight, width).cpu().detach()
                    continue
                # Advanced indexing copies, so that a later edit of the tensor in place does not show.
                found[number] = value[rows, tokens[number]].float().cpu().detach()
    found = {**found, **embedded}
    return [found[n].unflatten(0, (times, -1)) for n in range(len(reads))]


def _plan_steps(reads: Sequence[Read], variants: Sequence[Sequence[Edit]], rows: int) -> list[Step]:
    """Edits and reads by layer and site, in the order in which a run of V times `rows` rows comes to them.

    Those of the embedding are made on the model's inputs instead.
    """
    edits: dict[tuple[int, Site], list[tuple[slice, PlainEdit]]] = {}
    wanted: dict[tuple[int, Site], list[int]] = {}
    for number, variant in enumerate(variants):
        for edit in variant:
            if edit.kind == "embedding":
                continue
            part = slice(number * rows, (number + 1) * rows)
            edits.setdefault((edit.layer, edit.kind), []).append((part, _trim(edit.plain)))
    for number, read in enumerate(reads):
        if read.site == "embedding":
            continue
        wanted.setdefault((read.layer, read.site), []).append(number)
    places = sorted({*edits, *wanted}, key=lambda place: (place[0], ORDER.index(place[1])))
    return [(*place, edits.get(place, []), wanted.get(place, [])) for place in places]


def _trim(edit: PlainEdit) -> PlainEdit:
    """The same edit, without the larger tensors that its tensors are parts of, which would be sent along."""
    kind, tokens, values, heads, how = edit
    if isinstance(values, torch.Tensor):
        values = _copy_part(values)
    return kind, _copy_part(tokens), values, heads, how


def _copy_part(tensor: torch.Tensor) -> torch.Tensor:
    """A copy of a tensor that is part of a larger one; any other tensor itself."""
    return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor
