"""Runs the language model of an embedded subject, with patches of heads that gradients pass through.

Replay of the suite patches without gradients and through the model's own code; training needs gradients, on
both sides of a patch. Several prompts stand behind one image and do not see each other, and so do several
patched runs of one prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers.models.llama.modeling_llama import rotate_half

from harness.training.architectures import HEADS, LAYERS, Untrained
from harness.training.packing import image_prefix

HEAD_DIM = 16
"""Dimensions of one head of the embedded subjects."""

Turns = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines of the rotary embedding [1, T, HEAD_DIM]."""


@dataclass(frozen=True)
class Pass:
    """What one run of the language model leaves behind, for R rows of T tokens.

    Attributes:
        states: Residual stream [R, T, width] at the input of each layer, and at the output of the last.
        queries: Queries [R, HEADS, T, HEAD_DIM] of each layer, turned to their positions.
        heads: Output of the heads [R, T, HEADS, HEAD_DIM] of each layer, before the output projection.
        keys: Keys [R, key heads, T, HEAD_DIM] of each layer, turned to their positions.
        values: Values [R, key heads, T, HEAD_DIM] of each layer.
    """

    states: list[torch.Tensor]
    queries: list[torch.Tensor]
    heads: list[torch.Tensor]
    keys: list[torch.Tensor]
    values: list[torch.Tensor]


@dataclass(frozen=True)
class Patch:
    """Which head outputs of a run are replaced, and by what.

    Attributes:
        where: bool [R, T, LAYERS, HEADS].
        values: Output of the heads [R, T, HEADS, HEAD_DIM] of each layer.
    """

    where: torch.Tensor
    values: list[torch.Tensor]


class Decoder:
    """The decoder layers of an embedded subject as a function of image embeddings and prompts."""

    def __init__(self, subject: Untrained) -> None:
        """Find the parts of the model; weights stay where they are."""
        self.subject = subject
        self.language = subject.model.model.language_model
        prefix, positions = image_prefix(subject.tokenizer, subject.model)
        self.prefix = torch.tensor(prefix)
        self.prefix_positions = torch.from_numpy(positions)

    @torch.no_grad()
    def embed_images(self, images: torch.Tensor) -> torch.Tensor:
        """Lay image embeddings [R, 64, width] out as the inputs before a prompt [R, prefix, width]."""
        hidden = self.language.embed_tokens(self.prefix.expand(len(images), -1))
        at = torch.nonzero(self.prefix == self.subject.model.config.image_token_id)[:, 0]
        return hidden.index_copy(1, at, images.to(hidden.dtype))

    def turn_prefix(self) -> Turns:
        """The rotary embedding of the tokens before a prompt."""
        return self._turn(self.prefix_positions)

    def turn_prompt(self, tokens: int) -> Turns:
        """The rotary embedding of the `tokens` tokens of a prompt."""
        begin = int(self.prefix_positions.max()) + 1
        return self._turn((begin + torch.arange(tokens)).expand(len(self.prefix_positions), -1))

    def _turn(self, positions: torch.Tensor) -> Turns:
        like = self.language.embed_tokens.weight[None, :1]
        cos, sin = self.language.rotary_emb(
            like, positions if len(positions) == 1 else positions[:, None]
        )
        return cos, sin

    def see(self, images: torch.Tensor) -> Pass:
        """Run the tokens before a prompt, for image embeddings [R, 64, width].

        No gradient reaches a state of these tokens, only the keys and values read from it: they are most of a
        sequence, and without it a step takes a third of the time.
        """
        with torch.no_grad():
            seen = self.run(self.embed_images(images), self.turn_prefix())
        if not torch.is_grad_enabled():
            return seen
        keys, values = [], []
        for layer, state in zip(self.language.layers, seen.states, strict=False):
            _, key, value = self._project(layer, state, self.turn_prefix())
            keys.append(key)
            values.append(value)
        return Pass(seen.states, seen.queries, seen.heads, keys, values)

    def _project(
        self, layer: Any, hidden: torch.Tensor, turns: Turns
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows, tokens = hidden.shape[:2]
        attention, read = layer.self_attn, layer.input_layernorm(hidden)
        query, key, value = (
            part(read).view(rows, tokens, -1, HEAD_DIM).transpose(1, 2)
            for part in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        cos, sin = (t[:, None] for t in turns)
        query = query * cos + rotate_half(query) * sin
        return query, key * cos + rotate_half(key) * sin, value

    def run(
        self,
        hidden: torch.Tensor,
        turns: Turns,
        *,
        past: tuple[Pass, ...] = (),
        sees: torch.Tensor | None = None,
        patch: Patch | None = None,
    ) -> Pass:
        """Run all layers.

        Args:
            hidden: Inputs of the first layer [R, T, width].
            turns: The rotary embedding of these T tokens.
            past: Runs of the same rows whose keys and values may be looked at.
            sees: Which token sees which, bool [T, tokens of all of `past` + T]; causal if not given.
            patch: Heads whose output is replaced.
        """
        rows, tokens = hidden.shape[:2]
        run = Pass([hidden], [], [], [], [])
        for index, layer in enumerate(self.language.layers):
            query, key, value = self._project(layer, hidden, turns)
            run.queries.append(query)
            run.keys.append(key)
            run.values.append(value)
            if past:
                key = torch.cat([*(p.keys[index] for p in past), key], 2)
                value = torch.cat([*(p.values[index] for p in past), value], 2)
            if key.shape[1] < HEADS:
                key, value = (x.repeat_interleave(HEADS // x.shape[1], 1) for x in (key, value))
            out = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=sees, is_causal=sees is None
            ).transpose(1, 2)
            if patch is not None:
                out = torch.where(patch.where[:, :, index, :, None], patch.values[index], out)
            run.heads.append(out)
            hidden = hidden + layer.self_attn.o_proj(out.reshape(rows, tokens, -1))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
            run.states.append(hidden)
        return run

    def read(self, state: torch.Tensor) -> torch.Tensor:
        """Logits [..., vocabulary] of states at the output of the last layer."""
        return self.subject.model.lm_head(self.language.norm(state))


def mark(heads: list[tuple[int, int]]) -> torch.Tensor:
    """Which of all heads these (layer, head) are, bool [LAYERS, HEADS]."""
    found = torch.zeros(LAYERS, HEADS, dtype=torch.bool)
    for layer, head in heads:
        found[layer, head] = True
    return found
