"""Twins of a subject: models with other weights that compute the same function.

Two models that differ only in the order of their heads are one function, and no verdict may tell them apart;
four other changes of weights are like that. A claim that gives a twin another verdict rests on what means
nothing, such as the number of a head, or on the luck of what was drawn by it.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.subjects.exchanged import EXCHANGED, draw_cycle, exchange
from harness.subjects.renumbering import NoTwin, renumber
from harness.subjects.subject import Subject

PROJECTORS = {
    "llava": "model.multi_modal_projector.linear_2",
    "qwen2_vl": "model.visual.merger.mlp.2",
    "qwen2_5_vl": "model.visual.merger.mlp.2",
}
"""Path of the layer that writes image tokens into the residual stream, for each family that has twins."""

SCALES = (-4.0, -2.0, -0.5, -0.25, 0.25, 0.5, 2.0, 4.0)
"""Factors between value and output: powers of two, by which nothing is rounded."""


@dataclass(frozen=True)
class _Weights:
    """The weights of a model that a twin changes, in place."""

    subject: Subject
    layers: Sequence[Any]
    norm: Any
    projector: nn.Linear
    vocabulary: list[nn.Parameter]
    rng: np.random.Generator

    @classmethod
    def of(cls, subject: Subject, rng: np.random.Generator) -> _Weights:
        if subject.anatomy.family not in PROJECTORS:
            raise NoTwin(
                f"{subject.name}: the family {subject.anatomy.family} has no twins; these have: "
                f"{', '.join(PROJECTORS)}"
            )
        model, layers = subject.model, subject.anatomy.layers
        ends = (model.get_input_embeddings(), model.get_output_embeddings())
        return cls(
            subject,
            list(model.get_submodule(layers)),
            model.get_submodule(f"{layers.rpartition('.')[0]}.norm"),
            model.get_submodule(PROJECTORS[subject.anatomy.family]),
            # Of tied embeddings there is one matrix.
            list({id(module.weight): module.weight for module in ends}.values()),
            rng,
        )


def draw_head_order(layers: int, heads: int, key_heads: int, seed: int = 0) -> NDArray[np.int64]:
    """Where the heads of the twin `heads` come from, int64 [layers, heads].

    Heads that share keys and values stay together: groups are exchanged, and heads within each group. Head h of
    the twin's layer l is head `order[l, h]` of the original's.
    """
    rng, size = np.random.default_rng(seed), heads // key_heads
    return np.stack(
        [
            np.concatenate(
                [group * size + draw_cycle(size, rng) for group in draw_cycle(key_heads, rng)]
            )
            for _ in range(layers)
        ]
    )


def _start(how: str) -> np.random.Generator:
    """The generator of one kind of twin: a change is the same alone and with others."""
    return np.random.default_rng(list(how.encode()))


def _spread(heads: Iterable[int], width: int) -> torch.Tensor:
    """The rows of some heads, in their order."""
    return torch.cat([torch.arange(width) + int(head) * width for head in heads])


def _take(layer: nn.Linear, rows: torch.Tensor) -> None:
    """Put the outputs of a layer into another order."""
    layer.weight.copy_(layer.weight[rows])
    if layer.bias is not None:
        layer.bias.copy_(layer.bias[rows])


def _permute_heads(weights: _Weights) -> None:
    subject = weights.subject
    group, width = subject.heads // subject.key_heads, subject.head_width
    orders = draw_head_order(len(weights.layers), subject.heads, subject.key_heads)
    for layer, order in zip(weights.layers, orders, strict=True):
        own, shared = _spread(order, width), _spread(order[::group] // group, width)
        _take(layer.self_attn.q_proj, own)
        _take(layer.self_attn.k_proj, shared)
        _take(layer.self_attn.v_proj, shared)
        layer.self_attn.o_proj.weight.copy_(layer.self_attn.o_proj.weight[:, own])


def _permute_neurons(weights: _Weights) -> None:
    for layer in weights.layers:
        order = torch.from_numpy(weights.rng.permutation(layer.mlp.down_proj.in_features))
        _take(layer.mlp.gate_proj, order)
        _take(layer.mlp.up_proj, order)
        layer.mlp.down_proj.weight.copy_(layer.mlp.down_proj.weight[:, order])


def _scale_values(weights: _Weights) -> None:
    """Scale the values of each head of keys and values, and scale them back where they are put out."""
    subject = weights.subject
    for layer in weights.layers:
        drawn = torch.tensor(weights.rng.choice(SCALES, subject.key_heads))
        values = drawn.repeat_interleave(subject.head_width).to(subject.model.dtype)
        read = drawn.repeat_interleave(subject.head_width * subject.heads // subject.key_heads)
        # Of every group, each head reads the values of one head.
        layer.self_attn.v_proj.weight.mul_(values[:, None])
        if layer.self_attn.v_proj.bias is not None:
            layer.self_attn.v_proj.bias.mul_(values)
        layer.self_attn.o_proj.weight.div_(read.to(subject.model.dtype))


def _turn_basis(weights: _Weights) -> None:
    """Permute the features of the residual stream and turn the signs of some of them around."""
    norms = [weights.norm]
    norms += [n for x in weights.layers for n in (x.input_layernorm, x.post_attention_layernorm)]
    count = norms[0].weight.shape[0]
    order = torch.from_numpy(weights.rng.permutation(count))
    signs = torch.tensor(weights.rng.choice([-1.0, 1.0], count)).to(weights.subject.model.dtype)
    for norm in norms:
        norm.weight.copy_(norm.weight[order])
    reading, writing = list(weights.vocabulary), [weights.projector.weight]
    for layer in weights.layers:
        attention, mlp = layer.self_attn, layer.mlp
        read_by = (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj)
        reading += [module.weight for module in read_by]
        writing += [attention.o_proj.weight, mlp.down_proj.weight]
    for read in reading:
        read.copy_(read[:, order] * signs)
    for written in writing:
        written.copy_(written[order] * signs[:, None])
    if weights.projector.bias is not None:
        weights.projector.bias.copy_(weights.projector.bias[order] * signs)


def _relabel_vocabulary(weights: _Weights) -> None:
    """Give every token another number; the tokenizer, and every number that a configuration names, follow."""
    subject = weights.subject
    new = weights.rng.permutation(len(subject.tokenizer)).tolist()
    for matrix in weights.vocabulary:
        matrix[new] = matrix[: len(new)].clone()
    config = subject.model.config
    configs = [config, config.get_text_config(), subject.model.generation_config]
    for each in {id(c): c for c in configs}.values():
        for name, token in each.to_dict().items():
            if name.endswith(("_token_id", "_token_index")) and token is not None:
                moved = [new[t] for t in token] if isinstance(token, list) else new[token]
                setattr(each, name, moved)
    subject.tokenizer = renumber(subject.tokenizer, lambda _, number: new[number])


EXACT: dict[str, Callable[[_Weights], None]] = {
    "heads": _permute_heads,
    "neurons": _permute_neurons,
    "scales": _scale_values,
    "vocabulary": _relabel_vocabulary,
    "basis": _turn_basis,
}
"""Changes of weights that change no function, by the name of the variant."""

ALL_EXACT = "twin"
"""The variant that has them all."""


@torch.no_grad()
def transform(subject: Subject, how: str) -> Subject:
    """A twin of a subject; the given one stays as it is.

    Args:
        subject: Of one of PROJECTORS' families; for an exchange of words, each of them must be one token.
        how: A name of EXACT or of EXCHANGED, or ALL_EXACT.

    Raises:
        NoTwin: The subject has none of this kind.
    """
    if how in EXCHANGED:
        return exchange(subject, how)
    made = replace(subject, model=copy.deepcopy(subject.model), _images=OrderedDict())
    for name in EXACT if how == ALL_EXACT else [how]:
        EXACT[name](_Weights.of(made, _start(name)))
    return made


def save_twin(subject: Subject, folder: Path) -> None:
    """Write a twin of other weights as a checkpoint, so that it can be named as a folder."""
    subject.model.save_pretrained(folder)
    subject.tokenizer.save_pretrained(folder)
    subject.image_processor.save_pretrained(folder)
