"""Floating-point operations from shapes: those that a run does, and those that must be done for what is asked.

torch's own counter watches every operation, dies where keys have fewer heads than queries, and slows what it
counts. Here a product with weights counts twice the weight's size per row, and attention twice for scores and
twice for values; all else (norms, rotations, softmax) is left out, some percents of a large model.

done     what modules are called with: hooks on every layer with weights, and on the attention functions
needed   what follows from what is asked for: each image encoded once, each prompt run once for all that reads
         it, and of each replayed variant what its edits can change; generated tokens one after the other
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing import attention, capture, generate, replay, trace
from harness.tracing.edit import Edit
from harness.tracing.site import find_layers

WEIGHTED = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)
"""Modules that multiply with weights."""


@dataclass
class Count:
    """Work that was counted.

    Attributes:
        done: FLOPs of all that ran.
        needed: FLOPs that must be done.
        token_layers: Tokens that went through each decoder layer, summed.
        moved: Bytes that must be moved: the weights once for every pass that waits for the one before it, and
            each token's state into and out of every layer.
        seen: Scenes and trials that were counted.
    """

    done: int = 0
    needed: int = 0
    token_layers: int = 0
    moved: int = 0
    seen: set[Any] = field(default_factory=set)


@contextmanager
def counted(subject: Subject) -> Iterator[Count]:
    """Count what a subject does, and what it must do, while this is open."""
    count = Count()
    layers = find_layers(subject, subject.model)
    handles = [
        module.register_forward_hook(lambda m, given, out: _add_product(count, m, out))
        for module in subject.model.modules()
        if isinstance(module, WEIGHTED)
    ]
    handles += [
        layer.register_forward_pre_hook(lambda m, given: _add_tokens(count, given[0]))
        for layer in layers
    ]
    usual = {name: ALL_ATTENTION_FUNCTIONS[name] for name in ("sdpa", attention.NAME)}
    for name, function in usual.items():
        ALL_ATTENTION_FUNCTIONS[name] = _count_attention(count, function)
    needed = Needed(subject, count)
    try:
        with watched(needed):
            yield count
    finally:
        for handle in handles:
            handle.remove()
        for name, function in usual.items():
            ALL_ATTENTION_FUNCTIONS[name] = function


def _add_product(count: Count, module: torch.nn.Module, out: torch.Tensor) -> None:
    # The first dimension of a weight is the number of features that it gives.
    count.done += 2 * module.weight.numel() * (out.numel() // module.weight.shape[0])


def _add_tokens(count: Count, hidden: torch.Tensor) -> None:
    count.token_layers += hidden.shape[:-1].numel()


def _count_attention(count: Count, function: Callable[..., Any]) -> Callable[..., Any]:
    """The attention function, whose products of queries with keys and of weights with values are counted."""

    @wraps(function)
    def attend(
        module: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, **named: Any
    ) -> Any:
        rows, heads, queries, width = query.shape
        keys = key.shape[2]
        if function is attention.attend:
            # The clean run's; none where what the heads put out is known, or is not needed.
            shared = isinstance(attention_mask, attention.Shared)
            keys = attention_mask.keys.shape[2] if shared else 0
        count.done += 4 * rows * heads * queries * keys * width
        return function(module, query, key, value, attention_mask, **named)

    return attend


class Needed:
    """What must be done for calls of the functions that run a subject.

    Args:
        subject: The model.
        count: Where it is added.
    """

    def __init__(self, subject: Subject, count: Count) -> None:
        self.subject, self.count = subject, count
        config = subject.model.config.get_text_config()
        layer = find_layers(subject, subject.model)[0]
        sizes = {name: p.numel() for name, p in layer.named_parameters() if p.ndim > 1}
        self.weights = sum(sizes.values())
        self.projections = sum(
            n for name, n in sizes.items() if name[:-7].endswith(("k_proj", "v_proj"))
        )
        self.queries = sum(n for name, n in sizes.items() if name[:-7].endswith("q_proj"))
        self.scores = 4 * subject.heads * subject.head_width
        self.state = 2 * config.hidden_size * subject.model.dtype.itemsize
        self.bytes = subject.layers * self.weights * subject.model.dtype.itemsize

    def encode_images(self, keys: set[str], done: int) -> None:
        """Count images that were encoded now, by the keys of their scenes, each once; it took `done` FLOPs."""
        new = keys - self.count.seen
        self.count.seen |= new
        self.count.needed += done * len(new) // max(1, len(keys))

    def run_prompts(self, batch: Batch, *, edited: bool = False) -> None:
        """Count whole runs of the prompts of a batch, each once unless it is edited."""
        lengths = batch.inputs["attention_mask"].sum(-1).tolist()
        for trial, length in zip(batch.trials, lengths, strict=True):
            key = (trial.scene.key, trial.prompt.text)
            if edited or key not in self.count.seen:
                self.count.seen.add(key)
                self._add(length, length * (length + 1) // 2)

    def _add(self, tokens: int, pairs: int) -> None:
        """Count tokens that go through the layers, with so many pairs of a query and a key that it may see.

        Of the last layer only keys and values are counted: who reads more of it is not counted less.
        """
        whole = 2 * self.weights * tokens + self.scores * pairs
        self.count.needed += (self.subject.layers - 1) * whole + 2 * self.projections * tokens
        self.count.moved += self.subject.layers * self.state * tokens

    def run_steps(self, rows: int, tokens: int, before: int) -> None:
        """Count a step of writing: the weights are needed again, since it waits for the step before it."""
        self._add(rows * tokens, rows * tokens * (before + (tokens + 1) // 2))
        self.count.moved += self.bytes

    def run_variants(
        self, batch: Batch, variants: Sequence[Sequence[Edit]], at: torch.Tensor | None
    ) -> None:
        """Count what edits change on the way to the token that is read, for every row of a batch."""
        self.run_prompts(batch)
        self.count.moved += self.bytes
        read = torch.full((len(batch),), batch.last) if at is None else at.cpu()
        for variant in variants:
            self._add_variant(batch, variant, read)

    def _add_variant(self, batch: Batch, variant: Sequence[Edit], read: torch.Tensor) -> None:
        if not variant:
            return
        first = torch.full((len(batch),), batch.last + 1)
        needed = 0
        last = self.subject.layers - 1
        for layer in range(min(e.layer for e in variant), last + 1):
            begun, alone = first, [set[int]() for _ in batch.trials]
            for edit in (e for e in variant if e.layer == layer):
                tokens = edit.tokens.cpu()
                first = torch.minimum(first, tokens.min(1).values)
                if edit.kind == "head":
                    alone = [a | set(t) for a, t in zip(alone, tokens.tolist(), strict=True)]
                elif edit.kind != "residual":
                    begun = torch.minimum(begun, tokens.min(1).values)
            for own, begins, end in zip(alone, begun.tolist(), read.tolist(), strict=True):
                # Of tokens that nothing changed before, what follows the heads; at last, if it is read.
                own = {t for t in own if t < begins and (t == end or (layer < last and t < end))}
                needed += 2 * (self.weights - self.projections - self.queries) * len(own)
            changed = (read + 1 - begun).clamp(min=0)
            needed += self._count_layer(changed, read, last=layer == last)
        self.count.needed += needed
        self.count.moved += self.state * int((read + 1 - first).clamp(min=0).sum())

    def _count_layer(self, changed: torch.Tensor, read: torch.Tensor, *, last: bool) -> int:
        """FLOPs of one layer at the `changed` last tokens up to the one that is read, [B] each."""
        if last:
            one = (changed > 0).long()
            products = 2 * self.projections * changed + 2 * (self.weights - self.projections) * one
            return int((products + self.scores * one * (read + 1)).sum())
        pairs = changed * (read + 1) - changed * (changed - 1) // 2
        return int((2 * self.weights * changed + self.scores * pairs).sum())


@contextmanager
def watched(needed: Needed) -> Iterator[None]:
    """Tell what must be done whenever a subject is run, in every module that has imported these functions."""
    count = needed.count

    def images(function: Callable[..., Any]) -> Callable[..., Any]:
        def encode(self: Subject, scenes: Sequence[Any]) -> Any:
            before, keys = count.done, {s.key for s in scenes} - self._images.keys()
            found = function(self, scenes)
            needed.encode_images(keys, count.done - before)
            return found

        return encode

    def once(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(subject: Subject, batch: Batch, reads: Any, variants: Any) -> Any:
            for variant in variants:
                needed.run_prompts(batch, edited=bool(variant))
            return function(subject, batch, reads, variants)

        return run

    def logits(function: Callable[..., Any]) -> Callable[..., Any]:
        def read(subject: Subject, batch: Batch, *more: Any, **named: Any) -> Any:
            needed.run_prompts(batch)
            return function(subject, batch, *more, **named)

        return read

    def variants(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(
            subject: Subject, batch: Batch, sets: Any, *more: Any, at: Any = None, **named: Any
        ) -> Any:
            needed.run_variants(batch, sets, at)
            return function(subject, batch, sets, *more, at=at, **named)

        return run

    def step(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(subject: Subject, inputs: Any, cache: Any, *more: Any) -> Any:
            rows, tokens = inputs["inputs_embeds"].shape[:2]
            needed.run_steps(rows, tokens, cache.get_seq_length())
            return function(subject, inputs, cache, *more)

        return run

    places: list[tuple[Any, str, Callable[..., Any]]] = [
        (Subject, "_encode_images", images),
        (trace, "_once", once),
        (capture, "read_last_logits", logits),
        (replay, "replay", variants),
        (generate, "_run", step),
    ]
    changed: list[tuple[Any, str, Any]] = []
    for owner, name, wrap in places:
        function = getattr(owner, name)
        modules = [
            m for n, m in sys.modules.items() if m and n.partition(".")[0] in ("harness", "ways")
        ]
        holders = [owner, *(m for m in modules if getattr(m, name, None) is function)]
        wrapped = wraps(function)(wrap(function))
        for holder in dict.fromkeys(holders):
            changed.append((holder, name, function))
            setattr(holder, name, wrapped)
    try:
        yield
    finally:
        for holder, name, function in changed:
            setattr(holder, name, function)
