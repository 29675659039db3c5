"""The clean run, and what a replay needs of it.

Nothing before the first edited token can change. For the tokens before it the keys and values of every layer
are kept, and for those from it on the input of every layer, so that a replay can begin at any layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from harness.subjects.batch import Batch
from harness.subjects.deepstack import ADDED
from harness.subjects.subject import Subject
from harness.tracing.attention import Scratch, Shared, shared_attention
from harness.tracing.edit import Edit
from harness.tracing.site import MODULES, Kind, find_layers

VERY_NEGATIVE = torch.finfo(torch.float32).min
"""Score where a token may not look. Not -inf: padding may look nowhere, and its softmax must be a number."""


@dataclass(eq=False)
class CleanRun:
    """A clean run of B rows of T tokens, of which the first P are the same in every variant.

    Attributes:
        subject: The model.
        start: P, the first token that an edit can change.
        entering: For each layer the output of the one before it at the last S = T - P tokens, [B, S, d],
            computed as a replay computes it; then the output of the last layer.
        added: For each layer what the text model adds to its input, [B, S, d]; None where it adds nothing.
        keys: For each layer [B, Hkv, T, w], rotated.
        values: For each layer [B, Hkv, T, w].
        biases: For each layer the `Shared.bias` of its variants.
        given: For each layer the other arguments that it is called with.
        scratch: Memory for the attention scores.
    """

    subject: Subject
    start: int
    entering: list[torch.Tensor]
    added: list[torch.Tensor | None]
    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    biases: list[torch.Tensor | None]
    given: list[dict[str, Any]]
    scratch: Scratch = field(default_factory=Scratch, repr=False)

    @property
    def given_layers(self) -> set[int]:
        """The layers that a part of the embedding enters: the first, and those to whose input one is added."""
        return {0, *(index for index, part in enumerate(self.added) if part is not None)}

    def advance(
        self,
        index: int,
        hidden: torch.Tensor,
        edits: Sequence[tuple[int, Edit]],
        later: Sequence[tuple[int, Edit]] = (),
    ) -> torch.Tensor:
        """Run one decoder layer on V differently edited copies of its input.

        Args:
            index: Which layer.
            hidden: [B, V, S, d], the output of the layer before it.
            edits: (variant, edit) for every change inside the layer, in the order of the sites.
            later: (variant, edit) for every change of what the text model adds to the layer's input.

        Returns:
            [B, V, S, d], the layer's output.
        """
        layer = find_layers(self.subject, self.subject.model)[index]
        if (added := self.added[index]) is not None:
            added = added[:, None]
            if later:
                added = added.repeat(1, hidden.shape[1], 1, 1)
                for variant, edit in later:
                    edit.write(added[:, variant], self.subject.head_width, self.start)
            hidden = hidden + added
        rows, variants, own, width = hidden.shape
        shared = Shared(
            self.keys[index], self.values[index], self.biases[index], variants, self.scratch
        )
        given = dict(self.given[index])
        given["position_embeddings"] = tuple(
            p.repeat(1, variants, 1) for p in given["position_embeddings"]
        )
        handles = [
            self._hook(layer, kind, variants, [(v, e) for v, e in edits if e.kind == kind])
            for kind in {e.kind for _, e in edits}
        ]
        try:
            with shared_attention(layer.self_attn.config):
                output = layer(hidden.flatten(1, 2), attention_mask=shared, **given)
        finally:
            for handle in handles:
                handle.remove()
        return output.view(rows, variants, own, width)

    def _hook(
        self, layer: torch.nn.Module, kind: Kind, variants: int, edits: Sequence[tuple[int, Edit]]
    ) -> torch.utils.hooks.RemovableHandle:
        """Make the edits at one site of a layer whenever it runs, until the handle is removed."""

        def change(activation: torch.Tensor) -> torch.Tensor:
            # In place, since nobody else uses the input or output of a projection.
            by_variant = activation.unflatten(1, (variants, -1))
            for variant, edit in edits:
                edit.write(by_variant[:, variant], self.subject.head_width, self.start)
            return activation

        name, side = MODULES[kind]
        module = layer.get_submodule(f"self_attn.{name}")
        if side == "input":
            return module.register_forward_pre_hook(lambda m, given: (change(given[0]),))
        return module.register_forward_hook(lambda m, given, output: change(output))


@torch.no_grad()
def run_clean(subject: Subject, batch: Batch, start: int) -> CleanRun:
    """Run the batch once and keep what replays need.

    Args:
        subject: The model.
        batch: The clean trials.
        start: The first token that is edited or read. Where tokens look ahead (image tokens of Gemma 3)
            earlier ones can change, too; then the first of those becomes the `start` of the result.
    """
    while True:
        run, needed = _run_once(subject, batch, start)
        if needed == start:
            break
        del run
        start = needed
    # The clean run is rounded as its variants will be. Otherwise an edit that changes nothing would have an
    # effect in half precision, since from its layer on other kernels compute it.
    hidden = run.entering[0][:, None]
    for index in range(subject.layers):
        hidden = run.advance(index, hidden, [])
        run.entering[index + 1] = hidden[:, 0].clone()
    return run


def _run_once(subject: Subject, batch: Batch, start: int) -> tuple[CleanRun, int]:
    """The clean run from token `start` on, and the first token that an edit there or later can change."""
    layers = find_layers(subject, subject.model)
    entering: list[torch.Tensor] = []
    given: list[dict[str, Any]] = []
    biases: list[torch.Tensor | None] = []
    # With each mask itself, so that its id is not given to another one meanwhile.
    known: dict[int, tuple[torch.Tensor | None, torch.Tensor | None, int]] = {}
    length = batch.last + 1

    def enter(
        layer: torch.nn.Module, positional: tuple[torch.Tensor, ...], named: dict[str, Any]
    ) -> None:
        if not entering:
            entering.append(positional[0][:, start:].clone())
        mask: torch.Tensor | None = named["attention_mask"]
        if id(mask) not in known:
            attention = layer.get_submodule("self_attn")
            allowed = _find_allowed(mask, attention, length, positional[0].device)
            bias, first = _make_bias(allowed[..., start:, :]), _find_first_changed(allowed, start)
            known[id(mask)] = (mask, bias, first)
        biases.append(known[id(mask)][1])
        dropped = {"attention_mask", "past_key_values", "use_cache", "position_ids"}
        kept = {k: v for k, v in named.items() if k not in dropped}
        kept["position_embeddings"] = tuple(p[:, start:] for p in named["position_embeddings"])
        given.append(kept)

    # Without the model's configuration, so that layers with a sliding window keep all of their keys, too.
    cache = DynamicCache()
    handles = [x.register_forward_pre_hook(enter, with_kwargs=True) for x in layers]
    handles += [
        x.register_forward_hook(lambda m, a, out: entering.append(out[:, start:].clone()))
        for x in layers
    ]
    try:
        subject.model(**batch.inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    finally:
        for handle in handles:
            handle.remove()
    keys, values = [x.keys for x in cache.layers], [x.values for x in cache.layers]
    run = CleanRun(
        subject, start, entering, _find_added(subject, batch, start), keys, values, biases, given
    )
    return run, min(first for _, _, first in known.values())


def _find_added(subject: Subject, batch: Batch, start: int) -> list[torch.Tensor | None]:
    """For each layer what the text model adds to its input, [B, S, d]; None where it adds nothing."""
    added: list[torch.Tensor | None] = [None] * subject.layers
    if ADDED in batch.inputs:
        # The batch has it by the layer after whose output it is added.
        for index, later in enumerate(batch.inputs[ADDED][:, :, start:].unbind(1)):
            added[index + 1] = later
    return added


def _find_allowed(
    mask: torch.Tensor | None, attention: torch.nn.Module, length: int, device: torch.device
) -> torch.Tensor:
    """Which token may look at which, bool [B or 1, 1, T, T], from the mask that a layer was given."""
    if mask is None:
        everywhere = torch.ones(1, 1, length, length, dtype=torch.bool, device=device)
        return everywhere.tril() if getattr(attention, "is_causal", True) else everywhere
    mask = mask[..., :length]
    # A mask that is not bool is added to scores: it holds 0 or the dtype's lowest number.
    return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


def _make_bias(allowed: torch.Tensor) -> torch.Tensor | None:
    """What is added to scores so that tokens look only where they may; None if they may look everywhere."""
    if bool(allowed.all()):
        return None
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, VERY_NEGATIVE)


def _find_first_changed(allowed: torch.Tensor, start: int) -> int:
    """The first token that may look at token `start` or later; `start` itself if none before it may."""
    looks = allowed[..., :start, start:].any(-1).flatten(0, -2).any(0).nonzero()
    return int(looks[0]) if len(looks) else start
