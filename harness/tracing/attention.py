"""Attention of many variants of one trial to the keys and values that they share.

Variants of a trial stand side by side along the sequence. Each sees the tokens before its own, which are
the clean run's and stand in memory once, and its own tokens, never those of another variant. The decoder
layers run as they are; only the function that they call for attention is another one.
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
    """Memory for the scores, the same for all layers: to get it anew costs more than to fill it.

    Attributes:
        variants: For how many there is to be room in the end; more of them start at later layers.
    """

    def __init__(self) -> None:
        self.variants = 1
        self._held = torch.empty(0)

    def of(self, like: torch.Tensor, variants: int, shape: tuple[int, ...]) -> torch.Tensor:
        """Uninitialised, of this shape, dtype and device of `like`; what was given before is void."""
        size = math.prod(shape)
        fits = self._held.numel() >= size and self._held.dtype == like.dtype
        # Layers of a subject that is spread over several GPUs are not all on one.
        if not fits or self._held.device != like.device:
            self._held = like.new_empty(size // variants * max(self.variants, variants))
        return self._held[:size].view(shape)


@dataclass(frozen=True)
class Shared:
    """What a layer's variants share; passed to the layer in place of its mask.

    Attributes:
        keys: [B, Hkv, P + S, w], rotated, of the clean run; the last S are those that each variant has
            of its own, and only make room.
        values: [B, Hkv, P + S, w].
        bias: float32 [B or 1, 1, S, P + S], 0 where a variant's token may look and very negative where not;
            None if it may look everywhere.
        variants: How many stand side by side.
        scratch: Where scores are put.
    """

    keys: torch.Tensor
    values: torch.Tensor
    bias: torch.Tensor | None
    variants: int
    scratch: Scratch


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Shared,
    scaling: float | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """The attention function of `transformers` for a replay.

    Args:
        module: The attention layer.
        query: [B, H, V*S, w], V variants of S tokens.
        key: [B, Hkv, V*S, w].
        value: [B, Hkv, V*S, w].
        attention_mask: What the variants share.
        scaling: Of the scores; 1/sqrt(w) if None.
        softcap: Scores s become softcap * tanh(s / softcap).

    Returns:
        [B, V*S, H, w], and None for the weights.
    """
    shared = attention_mask
    rows, groups, length, width = key.shape
    own, times = length // shared.variants, query.shape[1] // groups
    before = shared.keys.shape[2] - own
    query = query * (width**-0.5 if scaling is None else scaling)
    query = query.reshape(rows, groups, times, shared.variants, own, width)
    key = key.view(rows, groups, 1, shared.variants, own, width)
    value = value.view(rows, groups, 1, shared.variants, own, width)
    flat = (rows, groups, times * length)
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
    return result.view(rows, groups * times, length, width).transpose(1, 2), None


AttentionInterface.register(NAME, attend)


@contextmanager
def shared_attention(config: PretrainedConfig) -> Iterator[None]:
    """Let layers of this configuration call `attend`; what they called before comes back at the end."""
    usual = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual
