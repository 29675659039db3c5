"""What a model writes after a prompt, with edits made on the prompt and heads silenced throughout.

The prompt is run once with its edits, and each new token alone after it: what an edit changed reaches
later tokens through the keys and values that were kept, as it would if the prompt were edited again and
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import NamedTuple

import torch
from transformers import DynamicCache

from harness.subjects.subject import Batch, Subject
from harness.tracing.answer import logits_of
from harness.tracing.edit import Edit
from harness.tracing.site import MODULES, layers_of
from harness.tracing.trace import Read, run


class Continuation(NamedTuple):
    """The most likely next token of every row, n times, on the CPU.

    Attributes:
        ids: int64 [B, n]. A row that has ended repeats its end-of-sequence token.
        logits: float32 [B, n], the highest logit at each step; without meaning once a row has ended.
    """

    ids: torch.Tensor
    logits: torch.Tensor


def generate(
    subject: Subject,
    batch: Batch,
    steps: int,
    edits: Sequence[Edit] = (),
    ablated: Sequence[tuple[int, int]] = (),
) -> list[str]:
    """Greedy continuation of every row, as text.

    Args:
        subject: The model.
        batch: The prompts, B rows.
        steps: New tokens at most; fewer if every row ends before.
        edits: Made together, on the prompt's tokens alone.
        ablated: (layer, head) of what is 0 at every token, of the prompt and after it. Wins over edits.

    Returns:
        B texts, up to the row's first end-of-sequence token, without special tokens. Whether the space
        between prompt and text is part of it is up to the tokenizer.

    Raises:
        ValueError: No steps, a layer, head or token that is not there, or tokens of other rows than the
            batch's.
    """
    ends = _ends(subject)
    rows = generate_ids(subject, batch, steps, edits, ablated).ids.tolist()
    written = [list(takewhile(lambda token: token not in ends, row)) for row in rows]
    return subject.tokenizer.batch_decode(written, skip_special_tokens=True)


@torch.no_grad()
def generate_ids(
    subject: Subject,
    batch: Batch,
    steps: int,
    edits: Sequence[Edit] = (),
    ablated: Sequence[tuple[int, int]] = (),
) -> Continuation:
    """As `generate`, but tokens [B, n] with their logits, n of at most `steps`."""
    _check(subject, batch, steps, edits, ablated)
    ends = torch.tensor(sorted(_ends(subject)), dtype=torch.int64)
    ended = torch.zeros(len(batch), dtype=torch.bool)
    # Without the configuration, so that layers with a sliding window keep all of their keys, too.
    cache = DynamicCache()
    inputs = batch.inputs
    ids: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    while len(ids) < steps and not bool(ended.all()):
        if subject.elsewhere is not None:
            # Nothing is kept there between two runs: all that was written so far is run again.
            batch = _longer(subject, batch, ids[-1]) if ids else batch
            hidden = _sent(subject, batch, edits, ablated)
        else:
            inputs = _after(subject, inputs, ids[-1]) if ids else inputs
            hidden = _run(subject, inputs, cache, () if ids else edits, ablated)
        # In half precision the model's own logits are too coarse to tell the first from the second.
        highest, best = logits_of(subject, hidden, None).max(-1)
        ids.append(torch.where(ended, ids[-1], best) if ids else best)
        logits.append(highest)
        ended |= torch.isin(ids[-1], ends)
    return Continuation(torch.stack(ids, 1), torch.stack(logits, 1))


def _after(
    subject: Subject, inputs: dict[str, torch.Tensor], ids: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What the model is given for one more token of every row, ids [B], where the rest is in the cache."""
    mask, positions = inputs["attention_mask"], inputs["position_ids"]
    new = ids[:, None].to(subject.device)
    # Rows are padded on the left, and padding has the lowest positions.
    position = positions.amax(-1, keepdim=True) + 1
    if positions.ndim == 3:
        # A word after an image stands behind its longest side, the same on all three axes.
        position = position.amax(0, keepdim=True).expand_as(position)
    more = {
        "inputs_embeds": subject.model.get_input_embeddings()(new),
        "attention_mask": torch.cat([mask, torch.ones_like(mask[:, :1])], -1),
        "position_ids": position,
    }
    if name := subject.anatomy.token_types:
        # Of all tokens, as the mask: the model looks them up by place, not among those it is given.
        types = inputs[name]
        more[name] = torch.cat([types, torch.zeros_like(types[:, :1])], -1)
    return more


def _run(
    subject: Subject,
    inputs: dict[str, torch.Tensor],
    cache: DynamicCache,
    edits: Sequence[Edit],
    ablated: Sequence[tuple[int, int]],
) -> torch.Tensor:
    """The last layer's output [B, d] at the last of the tokens that are given."""
    rows, length = inputs["inputs_embeds"].shape[:2]
    hidden: list[torch.Tensor] = []
    handles = []
    try:
        for edit in (*edits, *_silenced(ablated, rows, length)):
            handles.append(hooked(subject, edit))
        # Last, so that it reads what an edit of the last layer has left.
        handles.append(
            layers_of(subject, subject.model)[-1].register_forward_hook(
                lambda module, given, output: hidden.append(output[:, -1])
            )
        )
        subject.model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    finally:
        for handle in handles:
            handle.remove()
    return hidden[0]


def _longer(subject: Subject, batch: Batch, ids: torch.Tensor) -> Batch:
    """The batch with one more token in every row, ids [B]; what it says of places stays true."""
    more = _after(subject, batch.inputs, ids)
    joined = {
        name: torch.cat([batch.inputs[name], more[name]], dim)
        for name, dim in (("inputs_embeds", 1), ("position_ids", -1))
    }
    input_ids = torch.cat([batch.input_ids, ids[:, None].to(batch.input_ids)], 1)
    return replace(batch, input_ids=input_ids, inputs=more | joined)


def _sent(
    subject: Subject,
    batch: Batch,
    edits: Sequence[Edit],
    ablated: Sequence[tuple[int, int]],
) -> torch.Tensor:
    """As `_run`, of a subject whose layers are elsewhere."""
    last = Read(subject.layers - 1, "residual", torch.full((len(batch), 1), batch.last))
    silenced = _silenced(ablated, len(batch), batch.last + 1)
    [hidden] = run(subject, batch, [last], [[*edits, *silenced]])
    return hidden[0, :, 0]


def _silenced(ablated: Sequence[tuple[int, int]], rows: int, length: int) -> list[Edit]:
    every = torch.arange(length).expand(rows, -1)
    layers: dict[int, list[int]] = {}
    for layer, head in sorted(set(ablated)):
        layers.setdefault(layer, []).append(head)
    return [Edit("head", layer, every, 0.0, tuple(heads)) for layer, heads in layers.items()]


def hooked(subject: Subject, edit: Edit) -> torch.utils.hooks.RemovableHandle:
    """Make one edit whenever its layer runs."""

    def changed(activation: torch.Tensor) -> torch.Tensor:
        # In place: what a layer or projection gives or takes was made for it alone.
        edit.write(activation, subject.head_width)
        return activation

    layer = layers_of(subject, subject.model)[edit.layer]
    if edit.kind == "residual":
        return layer.register_forward_hook(lambda m, given, output: changed(output))
    name, side = MODULES[edit.kind]
    module = getattr(layer.self_attn, name)
    if side == "input":
        return module.register_forward_pre_hook(lambda m, given: (changed(given[0]),))
    return module.register_forward_hook(lambda m, given, output: changed(output))


def _ends(subject: Subject) -> set[int]:
    """Every token that ends a text; the tokenizer knows one at most, a checkpoint may name several."""
    given = (subject.tokenizer.eos_token_id, subject.model.generation_config.eos_token_id)
    lists = [[ids] if isinstance(ids, int) else ids or [] for ids in given]
    return {token for ids in lists for token in ids}


def _check(
    subject: Subject,
    batch: Batch,
    steps: int,
    edits: Sequence[Edit],
    ablated: Sequence[tuple[int, int]],
) -> None:
    """Refuse what is not of this model and batch, before anything is run."""

    def need(met: bool, what: str) -> None:
        if not met:
            raise ValueError(f"{subject.name}: {what}")

    need(steps > 0, f"{steps} steps; at least one is needed")
    named = [(layer, head, subject.heads) for layer, head in ablated]
    for edit in edits:
        of = subject.key_heads if edit.kind in ("key", "value") else subject.heads
        named += [(edit.layer, head, of) for head in edit.heads or (0,)]
        rows = len(edit.tokens)
        need(rows == len(batch), f"an edit's tokens are of {rows} rows, the batch of {len(batch)}")
        inside = (edit.tokens >= 0) & (edit.tokens <= batch.last)
        need(bool(inside.all()), f"an edit of tokens that are not 0 to {batch.last}")
    for layer, head, of in named:
        need(0 <= layer < subject.layers, f"no layer {layer}; it has 0 to {subject.layers - 1}")
        # One that is too high would be written nowhere, without a word.
        need(0 <= head < of, f"no head {head}; there are 0 to {of - 1}")
