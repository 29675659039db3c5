"""Attention for many variants of one trial, all of which share the clean run's keys and values.

The variants of a trial stand side by side along the sequence. Each attends to its own tokens and to those
before them, which are the clean run's and are in memory once, but never to the tokens of another variant.
The decoder layers run as they are; only the attention function that they call is replaced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import AttentionInterface, PretrainedConfig

NAME = "shared_with_clean_run"


class Scratch:
    """Memory for attention scores that all layers reuse, since allocating it costs more than filling it.

    Attributes:
        variants: How many variants it must hold in the end; further ones start at later layers.
    """

    def __init__(self) -> None:
        self.variants = 1
        self._held = torch.empty(0)

    def of(self, like: torch.Tensor, variants: int, shape: tuple[int, ...]) -> torch.Tensor:
        """Uninitialised memory of a shape, with dtype and device of `like`; it reuses what was given before."""
        size = math.prod(shape)
        fits = self._held.numel() >= size and self._held.dtype == like.dtype
        # Layers of a subject that is spread over several GPUs are not all on one.
        if not fits or self._held.device != like.device:
            self._held = like.new_empty(size // variants * max(self.variants, variants))
        return self._held[:size].view(shape)


@dataclass(frozen=True)
class Shared:
    """What all variants share in one layer; it is passed to the layer in place of the attention mask.

    Attributes:
        keys: [B, Hkv, P + S, w], rotated, from the clean run. The last S are placeholders: there each
            variant uses keys of its own.
        values: [B, Hkv, P + S, w], likewise.
        bias: float32 [B or 1, 1, A, P + S], 0 where a variant's token may look and very negative where not;
            None if it may look everywhere.
        variants: How many variants stand side by side.
        scratch: Memory for the scores.
        own: The variants' own keys and values, [B, Hkv, V*S, w] each, where the layer is called with fewer
            tokens than the S that may be looked at; None if they are those that it computes.
    """

    keys: torch.Tensor
    values: torch.Tensor
    bias: torch.Tensor | None
    variants: int
    scratch: Scratch
    own: tuple[torch.Tensor, torch.Tensor] | None = None


@dataclass(frozen=True)
class Known:
    """What the heads put out, where it is known before the layer runs; passed in place of the attention mask.

    Attributes:
        heads: [B, T, H * w], for the T tokens that the layer is called with.
    """

    heads: torch.Tensor


class KeysTaken(Exception):
    """Ends the run of a layer once its keys and values are there.

    Attributes:
        keys: [B, Hkv, T, w], rotated.
        values: [B, Hkv, T, w].
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__("keys and values are known; the rest of the layer is not needed")
        self.keys, self.values = keys, values


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Shared | Known | None,
    scaling: float | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Compute attention in a replay, with the arguments that `transformers` passes.

    Args:
        module: The attention layer.
        query: [B, H, V*A, w], V variants of the A tokens that the layer is called with.
        key: [B, Hkv, V*A, w].
        value: [B, Hkv, V*A, w].
        attention_mask: What the variants share; what comes out, if that is known; or None for keys and values
            alone.
        scaling: Factor of the scores; 1/sqrt(w) if None.
        softcap: Scores s become softcap * tanh(s / softcap); None leaves them as they are.

    Returns:
        [B, V*A, H, w], and None for the attention weights, which nobody asks for.

    Raises:
        KeysTaken: Only keys and values are wanted.
    """
    if attention_mask is None:
        raise KeysTaken(key, value)
    if isinstance(attention_mask, Known):
        return attention_mask.heads.unflatten(-1, (query.shape[1], -1)), None
    shared = attention_mask
    asked = query.shape[2] // shared.variants
    key, value = shared.own or (key, value)
    rows, groups, length, width = key.shape
    own, times = length // shared.variants, query.shape[1] // groups
    before = shared.keys.shape[2] - own
    query = query * (width**-0.5 if scaling is None else scaling)
    query = query.reshape(rows, groups, times, shared.variants, asked, width)
    key = key.view(rows, groups, 1, shared.variants, own, width)
    value = value.view(rows, groups, 1, shared.variants, own, width)
    flat = (rows, groups, times * shared.variants * asked)
    scores = shared.scratch.of(query, shared.variants, (*flat, before + own))
    torch.matmul(query.reshape(*flat, width), shared.keys.mT, out=scores)
    scores = scores.view(*query.shape[:-1], before + own)
    scores[..., before:] = query @ key.mT
    if softcap is not None:
        scores = scores.div_(softcap).tanh_().mul_(softcap)
    scores = scores.float()
    if shared.bias is not None:
        scores += shared.bias[:, :, None, None].to(scores.device)
    # In place: fresh memory of this size costs more than the softmax itself.
    weights = torch.softmax(scores, -1, out=scores).to(query.dtype)
    result = weights.view(*flat, -1)[..., :before] @ shared.values[:, :, :before]
    result = result.view(query.shape) + weights[..., before:] @ value
    return result.view(rows, groups * times, shared.variants * asked, width).transpose(1, 2), None


AttentionInterface.register(NAME, attend)


@contextmanager
def shared_attention(config: PretrainedConfig) -> Iterator[None]:
    """Make layers of this configuration call `attend`; afterwards they call what they did before."""
    usual = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual
