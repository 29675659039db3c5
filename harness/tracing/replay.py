"""One head at a time, exactly, without computing again what a patch cannot change.

Attention is causal: nothing before the first patched token differs from the clean run. Keys and values of
that part are computed once and kept, and each patched run starts at the first patched token. Each head is
a row of its own, so nothing but that head is changed in it, and everything downstream is recomputed.
"""

from __future__ import annotations

import nnsight
import torch
from transformers import DynamicCache

from harness.subjects.subject import Batch, Subject
from harness.tracing.edit import Edit
from harness.tracing.site import layers_of, traced


def patch_each_head(
    subject: Subject, batch: Batch, tokens: torch.Tensor, values: torch.Tensor, read: torch.Tensor
) -> torch.Tensor:
    """The answer after one head at a time is patched, for every head of every layer.

    Args:
        subject: The model.
        batch: The clean trials, B rows.
        tokens: int64 [B, S], where to patch.
        values: [L, B, S, H, d/H], the heads' values in the counterfactual run, from `capture`.
        read: int64 [B, A], ids of the tokens whose logits are read at the last token.

    Returns:
        float32 [L, H, B, A] on the CPU.
    """
    heads, rows = subject.heads, len(batch)
    start = int(tokens.min())
    cache = _prefix(subject, batch, start)
    cache.batch_repeat_interleave(heads)
    suffix = _from(batch.repeated(heads), start)
    head = torch.arange(heads).repeat(rows)[:, None]
    row = torch.arange(rows * heads)[:, None]
    where = tokens.repeat_interleave(heads, 0) - start
    read = read.repeat_interleave(heads, 0)
    model = traced(subject)
    results = []
    for index in range(subject.layers):
        edit = Edit("head", index, row, where, values[index].transpose(1, 2).flatten(0, 1), head)
        layer = layers_of(subject, model)[index]
        with (
            torch.no_grad(),
            model.trace(**suffix, past_key_values=cache, use_cache=True, logits_to_keep=1),
        ):
            layer.self_attn.o_proj.input = edit.applied(layer.self_attn.o_proj.input, heads)
            logits = nnsight.save(model.lm_head.output)
        # The run appended its own keys and values; the next one starts from the clean prefix again.
        cache.crop(start - batch.last - 1)
        found = logits[:, -1].detach().float().cpu().gather(1, read)
        results.append(found.unflatten(0, (rows, heads)).transpose(0, 1))
    return torch.stack(results)


def clean_answer(subject: Subject, batch: Batch, start: int, read: torch.Tensor) -> torch.Tensor:
    """Logits of the unpatched run, computed as `patch_each_head` computes them, float32 [B, A].

    A patch that changes nothing gives these bit for bit, where a run in one piece may differ in the
    last bits.
    """
    heads = subject.heads
    cache = _prefix(subject, batch, start)
    cache.batch_repeat_interleave(heads)
    suffix = _from(batch.repeated(heads), start)
    with torch.no_grad():
        output = subject.model(**suffix, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return output.logits[::heads, -1].float().cpu().gather(1, read)


def _prefix(subject: Subject, batch: Batch, start: int) -> DynamicCache:
    """Keys and values of the tokens before `start`, B rows."""
    cache = DynamicCache(config=subject.model.config)
    if start:
        inputs = {
            "inputs_embeds": batch.inputs["inputs_embeds"][:, :start],
            "attention_mask": batch.inputs["attention_mask"][:, :start],
            "position_ids": batch.inputs["position_ids"][..., :start],
        }
        with torch.no_grad():
            subject.model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _from(batch: Batch, start: int) -> dict[str, torch.Tensor]:
    """Inputs of the tokens from `start` on; the mask stays whole, since it covers what is kept."""
    return {
        "inputs_embeds": batch.inputs["inputs_embeds"][:, start:],
        "attention_mask": batch.inputs["attention_mask"],
        "position_ids": batch.inputs["position_ids"][..., start:],
    }
