"""Attention heads written as what they look for and what they bring back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from torch import nn
from transformers.models.gemma3.modeling_gemma3 import Gemma3Attention, Gemma3DecoderLayer
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaDecoderLayer
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLAttention, Qwen2VLDecoderLayer

from harness.training.wired.slots import WIDTH, Rows, blank, read_constant

Layer: TypeAlias = LlamaDecoderLayer | Qwen2VLDecoderLayer | Gemma3DecoderLayer
Attention: TypeAlias = LlamaAttention | Qwen2VLAttention | Gemma3Attention

HEAD_DIM = 32
ROPE_THETA = 1e12
"""So large that most pairs of a head do not turn within a prompt: they carry content, not position."""

_PAIRS = HEAD_DIM // 2
_TURNING = (0, 1, 2)
"""Pairs that turn fast enough to tell one token from the next."""
ROWS_TURN, COLUMNS_TURN = 1, 2
"""Those of them that turn with the row and with the column of an image token, where positions are three numbers
and each of them has one of the fast pairs."""
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
class Lean:
    """One thing that a head looks for the more, the further it is before the token that looks.

    Attributes:
        query: Row read at the token that looks, [1, WIDTH].
        key: Row read at the token that is looked at, [1, WIDTH].
        pair: The pair of dimensions that turns with the position that counts, one of the fast ones; the heads
            that share a key may not lean by one pair on different things.
        edge: Distance in tokens at which the score is zero.
        strength: By how much the score grows with each token of distance, near zero.
    """

    query: Rows
    key: Rows
    pair: int
    edge: float
    strength: float

    @property
    def size(self) -> float:
        """Factor on the sine of the angle between two positions, to which the score is proportional."""
        return self.strength / find_turn(self.pair)

    def looks_for(self) -> Match:
        """What takes the score at the edge away from all that is looked for."""
        return Match(self.query, self.key, -self.size * np.sin(self.edge * find_turn(self.pair)))


def find_turn(pair: int) -> float:
    """By how many radians a pair of a head's dimensions turns from one position to the next."""
    return float(ROPE_THETA ** (-pair / _PAIRS))


@dataclass(frozen=True)
class WiredHead:
    """One wired head.

    Attributes:
        layer: Decoder layer, 0-based.
        head: Query head of that layer.
        looks: What it looks for; at most 21 rows in all.
        offset: Look this many tokens back instead.
        leans: What it looks for the more, the further before it stands, in addition.
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
    leans: tuple[Lean, ...] = ()
    brings: tuple[tuple[Rows, Rows], ...] = field(default=(), repr=False)
    size: float = 1.0
    rest: float = REST
    what: str = ""

    def looks_for(self) -> tuple[Match, ...]:
        """What it looks for, and where it looks when there is nothing of it."""
        if self.offset is not None:
            return self.looks
        leans = (lean.looks_for() for lean in self.leans)
        return (*self.looks, *leans, Match(read_constant(), blank(), self.rest))


class _Shared:
    """Rows that the heads of a group read together, one dimension each."""

    def __init__(self, dims: Sequence[int], complaint: str) -> None:
        self.dims, self.complaint = dims, complaint
        self.rows: list[Rows] = []

    def place(self, rows: Iterable[Rows]) -> list[int]:
        """Give each row of one head a dimension, that of an equal row of another head if there is one.

        Raises:
            ValueError: More rows than dimensions.
        """
        taken: list[int] = []
        for row in rows:
            equal = (i for i, r in enumerate(self.rows) if i not in taken and (r == row).all())
            index = next(equal, len(self.rows))
            if index == len(self.dims):
                raise ValueError(self.complaint)
            if index == len(self.rows):
                self.rows.append(row)
            taken.append(index)
        return [self.dims[index] for index in taken]

    def write(self, weight: Rows) -> None:
        """Put the rows where their dimensions are."""
        for dim, row in zip(self.dims, self.rows, strict=False):
            weight[dim] = row


@dataclass(frozen=True)
class Group:
    """Weights of the query heads that share one key head, in float64.

    Attributes:
        key: Rows of the key, [HEAD_DIM, WIDTH].
        value: Rows of the value, [HEAD_DIM, WIDTH].
        queries: Rows of the query of each head, [HEAD_DIM, WIDTH].
        outputs: Columns of the output of each head, [WIDTH, HEAD_DIM].
    """

    key: Rows
    value: Rows
    queries: list[Rows]
    outputs: list[Rows]


def weigh_group(heads: Sequence[WiredHead]) -> Group:
    """Compute the weights of heads that share one key head, or of a head that has its own.

    Each head asks for its own part of the shared key and takes its own part of the shared value.

    Raises:
        ValueError: More rows than a head has dimensions.
    """
    key, value = np.zeros((HEAD_DIM, WIDTH)), np.zeros((HEAD_DIM, WIDTH))
    keys = _Shared(_STILL, f"the heads of a key look for at most {len(_STILL)} things")
    values = _Shared(
        range(HEAD_DIM), f"the heads of a key bring at most {HEAD_DIM} things between them"
    )
    queries, outputs = [], []
    scale = np.sqrt(HEAD_DIM)
    for head in heads:
        query, output = np.zeros((HEAD_DIM, WIDTH)), np.zeros((HEAD_DIM, WIDTH))
        if head.offset is not None:
            for pair in _TURNING:
                angle = head.offset * find_turn(pair)
                turned = scale * 60 * read_constant()[0]
                query[pair], query[pair + _PAIRS] = (
                    np.cos(angle) * turned,
                    -np.sin(angle) * turned,
                )
                key[pair] = read_constant()[0]
        for lean in head.leans:
            query[lean.pair + _PAIRS] = -scale * lean.size * lean.query[0]
            key[lean.pair] = lean.key[0]
        looks = head.looks_for()
        dims = iter(keys.place(row for look in looks for row in look.key))
        for look in looks:
            for row in look.query:
                query[next(dims)] = scale * look.strength * row
        places = values.place(row for read, _ in head.brings for row in read)
        output[places] = head.size * np.concatenate([write for _, write in head.brings])
        queries.append(query)
        outputs.append(output.T)
    keys.write(key)
    values.write(value)
    return Group(key, value, queries, outputs)


def signs(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Draw -1 and 1 at random, float32."""
    return 2.0 * torch.randint(0, 2, tuple(shape), generator=generator) - 1


@torch.no_grad()
def install(layers: Sequence[Layer], heads: Sequence[WiredHead], idle: float, seed: int) -> None:
    """Write the heads into decoder layers; every other head and every MLP is noise.

    The noise has one size and random signs, which is as good as any and compresses well. A query head that
    nothing is wired to, but whose key head is another's, reads what is real: it writes less of it.

    Args:
        layers: The decoder layers of a Llama, a Qwen2 or a Gemma 3 whose heads have HEAD_DIM dimensions. Their
            stream may be wider than the slots: nothing is written beyond WIDTH, and the norms undo the rest.
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
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            undo_width(norm.weight)
    for index, layer in enumerate(layers):
        groups: dict[int, list[WiredHead]] = {}
        for head in heads:
            if head.layer == index:
                shared = layer.self_attn.num_key_value_groups
                groups.setdefault(head.head // shared, []).append(head)
        for key_head, members in groups.items():
            _write_group(layer.self_attn, key_head, members, idle)


def undo_width(weight: torch.Tensor) -> None:
    """Set the weight of a norm so that dimensions beyond the slots, which hold nothing, change nothing."""
    weight.fill_((WIDTH / len(weight)) ** 0.5)


def _write_group(
    attention: Attention, key_head: int, members: Sequence[WiredHead], idle: float
) -> None:
    shared = attention.num_key_value_groups
    group = weigh_group(members)
    for sharing in range(key_head * shared, (key_head + 1) * shared):
        attention.o_proj.weight[:, _rows(sharing)] *= idle
    _write_rows(attention.k_proj, _rows(key_head), group.key)
    _write_rows(attention.v_proj, _rows(key_head), group.value)
    for head, query, output in zip(members, group.queries, group.outputs, strict=True):
        _write_rows(attention.q_proj, _rows(head.head), query)
        columns = attention.o_proj.weight[:, _rows(head.head)]
        columns.zero_()
        columns[:WIDTH] = torch.tensor(output)


def _rows(head: int) -> slice:
    return slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)


def _write_rows(linear: nn.Linear, rows: slice, values: Rows) -> None:
    linear.weight[rows] = 0
    linear.weight[rows, :WIDTH] = torch.tensor(values, dtype=linear.weight.dtype)
    if linear.bias is not None:
        linear.bias[rows] = 0
