"""The text that a model writes after a prompt, with edits made on the prompt and heads ablated throughout.

The prompt is run once with its edits, then each new token alone. What an edit changed reaches later tokens
through the keys and values that are kept, as it would if the whole text were run again with the same edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import NamedTuple

import torch
from transformers import DynamicCache

from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.answer import compute_logits
from harness.tracing.edit import Edit
from harness.tracing.embedding import count_parts, write_embedding
from harness.tracing.site import MODULES, find_layers
from harness.tracing.trace import Read, run


class Continuation(NamedTuple):
    """The n tokens with which every row goes on, each the likeliest after those before, on the CPU.

    Attributes:
        ids: int64 [B, n]. A row that has ended repeats its end-of-sequence token.
        logits: float32 [B, n], the highest logit at each step; meaningless once a row has ended.
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
    """Continue every row with the likeliest next token, again and again, and return the text.

    Args:
        subject: The model.
        batch: The prompts, B rows.
        steps: The most new tokens; there are fewer if every row ends before.
        edits: Made together, on the prompt's tokens alone.
        ablated: (layer, head) pairs whose output is 0 at every token of the prompt and of what is written,
            whatever the edits say.

    Returns:
        B texts, each up to the row's first end-of-sequence token, without special tokens. Whether the space
        between prompt and text is part of it is up to the tokenizer.

    Raises:
        ValueError: There are no steps; a layer, head or token does not exist; or an edit has another number
            of rows than the batch.
    """
    return decode_rows(subject, generate_ids(subject, batch, steps, edits, ablated).ids)


def decode_rows(subject: Subject, ids: torch.Tensor) -> list[str]:
    """The text of every row of tokens, int64 [B, n], up to its first end-of-sequence token."""
    ends = _find_ends(subject)
    written = [list(takewhile(lambda token: token not in ends, row)) for row in ids.tolist()]
    texts = subject.tokenizer.batch_decode(written, skip_special_tokens=True)
    return [subject.entry.stimuli.read_back(text) for text in texts]


@torch.no_grad()
def generate_ids(
    subject: Subject,
    batch: Batch,
    steps: int,
    edits: Sequence[Edit] = (),
    ablated: Sequence[tuple[int, int]] = (),
) -> Continuation:
    """Continue every row as `generate` does, but return tokens with their logits."""
    _check(subject, batch, steps, edits, ablated)
    ends = torch.tensor(sorted(_find_ends(subject)), dtype=torch.int64)
    ended = torch.zeros(len(batch), dtype=torch.bool)
    # Without the model's configuration, so that layers with a sliding window keep all of their keys, too.
    cache = DynamicCache()
    inputs = dict(batch.inputs)
    if any(edit.kind == "embedding" for edit in edits) and subject.elsewhere is None:
        inputs = batch.stacked(1)
        write_embedding(inputs, edits)
        edits = [edit for edit in edits if edit.kind != "embedding"]
    ids: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    while len(ids) < steps and not bool(ended.all()):
        if subject.elsewhere is not None:
            # Nothing is kept there between two runs, so the whole text so far is run again.
            batch = _append_to_batch(subject, batch, ids[-1]) if ids else batch
            hidden = _run_elsewhere(subject, batch, edits, ablated)
        else:
            inputs = _make_next_inputs(subject, inputs, ids[-1]) if ids else inputs
            hidden = _run(subject, inputs, cache, () if ids else edits, ablated)
        # In half precision the model's own logits are too coarse to tell the best token from the second best.
        highest, best = compute_logits(subject, hidden, None).max(-1)
        ids.append(torch.where(ended, ids[-1], best) if ids else best)
        logits.append(highest)
        ended |= torch.isin(ids[-1], ends)
    return Continuation(torch.stack(ids, 1), torch.stack(logits, 1))


def _make_next_inputs(
    subject: Subject, inputs: dict[str, torch.Tensor], ids: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The model's inputs for one more token in every row, ids [B], when all before it is in the cache."""
    mask, positions = inputs["attention_mask"], inputs["position_ids"]
    new = ids[:, None].to(subject.device)
    # Rows are padded on the left, and padding has the lowest positions.
    position = positions.amax(-1, keepdim=True) + 1
    if positions.ndim == 3:
        # A word after an image has the position after its longest side, the same on all three axes.
        position = position.amax(0, keepdim=True).expand_as(position)
    more = {
        "inputs_embeds": subject.model.get_input_embeddings()(new),
        "attention_mask": torch.cat([mask, torch.ones_like(mask[:, :1])], -1),
        "position_ids": position,
    }
    if name := subject.anatomy.token_types:
        # For all tokens, like the mask: the model looks them up by place, also those in the cache.
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
        for edit in (*edits, *_make_ablations(ablated, rows, length)):
            handles.append(hook_edit(subject, edit))
        # Registered last, so that it reads the last layer's output after all edits of it.
        handles.append(
            find_layers(subject, subject.model)[-1].register_forward_hook(
                lambda module, given, output: hidden.append(output[:, -1])
            )
        )
        subject.model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    finally:
        for handle in handles:
            handle.remove()
    return hidden[0]


def _append_to_batch(subject: Subject, batch: Batch, ids: torch.Tensor) -> Batch:
    """The batch with one more token at the end of every row, ids [B]; its token indices stay valid."""
    more = _make_next_inputs(subject, batch.inputs, ids)
    joined = {
        name: torch.cat([batch.inputs[name], more[name]], dim)
        for name, dim in (("inputs_embeds", 1), ("position_ids", -1))
    }
    input_ids = torch.cat([batch.input_ids, ids[:, None].to(batch.input_ids)], 1)
    return replace(batch, input_ids=input_ids, inputs=more | joined)


def _run_elsewhere(
    subject: Subject,
    batch: Batch,
    edits: Sequence[Edit],
    ablated: Sequence[tuple[int, int]],
) -> torch.Tensor:
    """What `_run` returns, for a subject whose layers are elsewhere."""
    last = Read(subject.layers - 1, "residual", torch.full((len(batch), 1), batch.last))
    ablations = _make_ablations(ablated, len(batch), batch.last + 1)
    [hidden] = run(subject, batch, [last], [[*edits, *ablations]])
    return hidden[0, :, 0]


def _make_ablations(ablated: Sequence[tuple[int, int]], rows: int, length: int) -> list[Edit]:
    """Edits that set (layer, head) pairs to 0 at all tokens, one edit for each layer."""
    every = torch.arange(length).expand(rows, -1)
    layers: dict[int, list[int]] = {}
    for layer, head in sorted(set(ablated)):
        layers.setdefault(layer, []).append(head)
    return [Edit("head", layer, every, 0.0, tuple(heads)) for layer, heads in layers.items()]


def hook_edit(subject: Subject, edit: Edit) -> torch.utils.hooks.RemovableHandle:
    """Make one edit whenever its layer runs, until the handle is removed.

    Raises:
        ValueError: It is one of the embedding, which no layer computes.
    """
    if edit.kind == "embedding":
        raise ValueError("the embedding is edited on a batch's inputs, not by a hook")

    def change(activation: torch.Tensor) -> torch.Tensor:
        # In place, since nobody else uses this input or output of a layer or projection.
        edit.write(activation, subject.head_width)
        return activation

    layer: torch.nn.Module = find_layers(subject, subject.model)[edit.layer]
    if edit.kind == "residual":
        return layer.register_forward_hook(lambda m, given, output: change(output))
    name, side = MODULES[edit.kind]
    module = layer.get_submodule(f"self_attn.{name}")
    if side == "input":
        return module.register_forward_pre_hook(lambda m, given: (change(given[0]),))
    return module.register_forward_hook(lambda m, given, output: change(output))


def _find_ends(subject: Subject) -> set[int]:
    """Every token that ends a text: the tokenizer knows one at most, and a checkpoint may name several."""
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
    """Refuse edits and ablations that do not fit the model and the batch, before anything is run."""

    def need(met: bool, what: str) -> None:
        if not met:
            raise ValueError(f"{subject.name}: {what}")

    need(steps > 0, f"{steps} steps; at least one is needed")
    named = [(layer, head, subject.heads) for layer, head in ablated]
    for edit in edits:
        of = subject.key_heads if edit.kind in ("key", "value") else subject.heads
        if edit.kind == "embedding":
            of = count_parts(batch.inputs)
        named += [(edit.layer, head, of) for head in edit.heads or (0,)]
        rows = len(edit.tokens)
        need(rows == len(batch), f"an edit's tokens have {rows} rows, the batch has {len(batch)}")
        inside = (edit.tokens >= 0) & (edit.tokens <= batch.last)
        need(bool(inside.all()), f"an edit names a token outside 0 to {batch.last}")
    for layer, head, of in named:
        need(0 <= layer < subject.layers, f"no layer {layer}; it has 0 to {subject.layers - 1}")
        # Without this check a head that is too high would be written nowhere, unnoticed.
        need(0 <= head < of, f"no head {head}; there are 0 to {of - 1}")
