"""Attention heads written as what they look for and what they bring back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from harness.training.wired.slots import WIDTH, Rows, blank, read_constant

HEAD_DIM = 32
ROPE_THETA = 1e12
"""So large that most pairs of a head do not turn within a prompt: they carry content, not position."""

_PAIRS = HEAD_DIM // 2
_TURNING = (0, 1, 2)
"""Pairs that turn fast enough to tell one token from the next."""
_STILL = [dim for pair in range(5, _PAIRS) for dim in (pair, pair + _PAIRS)]
"""Dimensions that turn by less than 0.02 rad over 110 tokens."""

REST = 9.0
"""How strongly a head looks at image tokens without an object when it has nothing to look for."""


@dataclass(frozen=True)
class Match:
    """One thing that a head looks for.

    Attributes:
        query: Rows read at the token that looks, [c, WIDTH].
        key: Rows read at the token that is looked at, [c, WIDTH]; row by row, their product is the score.
        strength: Factor on the score.
    """

    query: Rows
    key: Rows
    strength: float


@dataclass(frozen=True)
class WiredHead:
    """One wired head.

    Attributes:
        layer: Decoder layer, 0-based.
        head: Query head of that layer.
        looks: What it looks for; at most 21 rows in all.
        offset: Look this many tokens back instead.
        brings: Pairs of rows read at the token that is looked at and rows written at the one that looks,
            both [c, WIDTH]; what is written is scaled by `size`; at most 32 rows in all.
        size: Factor on what it writes.
        rest: How strongly it looks at image tokens without an object when there is nothing else.
        what: Its part in the mechanism, for the card, if it belongs to no stage.
    """

    layer: int
    head: int
    looks: tuple[Match, ...] = ()
    offset: int | None = None
    brings: tuple[tuple[Rows, Rows], ...] = field(default=(), repr=False)
    size: float = 1.0
    rest: float = REST
    what: str = ""

    def weights(self) -> dict[str, Rows]:
        """Query, key and value rows [HEAD_DIM, WIDTH] and output columns [WIDTH, HEAD_DIM], float64.

        Raises:
            ValueError: More rows than the head has dimensions.
        """
        query, key, value, output = (np.zeros((HEAD_DIM, WIDTH)) for _ in range(4))
        scale = np.sqrt(HEAD_DIM)
        if self.offset is not None:
            for pair in _TURNING:
                angle = self.offset * ROPE_THETA ** (-pair / _PAIRS)
                turned = scale * 60 * read_constant()[0]
                query[pair], query[pair + _PAIRS] = (
                    np.cos(angle) * turned,
                    -np.sin(angle) * turned,
                )
                key[pair] = read_constant()[0]
        free = iter(_STILL)
        looks = self.looks
        if self.offset is None:
            looks = (*looks, Match(read_constant(), blank(), self.rest))
        try:
            for look in looks:
                for q, k in zip(look.query, look.key, strict=True):
                    dim = next(free)
                    query[dim], key[dim] = scale * look.strength * q, k
        except StopIteration:
            raise ValueError(f"a head looks for at most {len(_STILL)} things") from None
        read = np.concatenate([source for source, _ in self.brings])
        write = np.concatenate([target for _, target in self.brings])
        if len(read) > HEAD_DIM:
            raise ValueError(f"a head brings at most {HEAD_DIM} things, not {len(read)}")
        value[: len(read)], output[: len(read)] = read, self.size * write
        return {"q_proj": query, "k_proj": key, "v_proj": value, "o_proj": output.T}


def signs(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Draw -1 and 1 at random, float32."""
    return 2.0 * torch.randint(0, 2, tuple(shape), generator=generator) - 1


@torch.no_grad()
def install(
    layers: Sequence[LlamaDecoderLayer], heads: Sequence[WiredHead], idle: float, seed: int
) -> None:
    """Write the heads into decoder layers; every other head and every MLP is noise.

    The noise has one size and random signs, which is as good as any and compresses well.

    Args:
        layers: The decoder layers of a Llama model of width WIDTH with heads of HEAD_DIM.
        heads: The wired heads, at most one for each layer and head.
        idle: Size of the weights that nothing is wired to; at zero nothing could show that a hook there works.
        seed: Seed of the noise.

    Raises:
        ValueError: Two heads have the same layer and head.
    """
    places = [(h.layer, h.head) for h in heads]
    if len(set(places)) < len(places):
        raise ValueError(f"two heads in one place: {sorted(places)}")
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        for parameter in (*layer.self_attn.parameters(), *layer.mlp.parameters()):
            parameter.copy_(idle * signs(parameter.shape, generator))
    for head in heads:
        attention = layers[head.layer].self_attn
        rows = slice(head.head * HEAD_DIM, (head.head + 1) * HEAD_DIM)
        for name, values in head.weights().items():
            weight = getattr(attention, name).weight
            part = weight[:, rows] if name == "o_proj" else weight[rows]
            part.copy_(torch.tensor(values, dtype=weight.dtype))
