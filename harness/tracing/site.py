"""Places in the network that can be read or written, and the traced model that leads to them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from nnsight import NNsight
from nnsight.schema.config import CONFIG

from harness.subjects.subject import Subject

# nnsight turns its debug mode on when it finds -v in sys.argv, which is pytest's here.
CONFIG.APP.DEBUG = False

Kind = Literal["query", "key", "value", "head", "residual"]
"""What is at a site of a decoder layer, in the order in which the layer computes it.

query, key, value: outputs of the projections, before norms and rotation, [B, T, H, w]; keys and values have
as many heads as the configuration says, often fewer than queries.
head: output of the attention heads, the input of `o_proj`, [B, T, H, w].
residual: output of the layer, [B, T, d].
"""

KINDS: tuple[Kind, ...] = ("query", "key", "value", "head", "residual")

Site = Kind | Literal["norm"]
"""Kinds, and what can only be read: norm, the output of the norm after attention, [B, T, d]."""

ORDER: tuple[Site, ...] = ("query", "key", "value", "head", "norm", "residual")
"""In which a layer comes to its sites."""

MODULES: dict[Kind, tuple[str, Literal["input", "output"]]] = {
    "query": ("q_proj", "output"),
    "key": ("k_proj", "output"),
    "value": ("v_proj", "output"),
    "head": ("o_proj", "input"),
}
"""Module of `self_attn` and side at which a kind is found; the residual stream is the layer's own output."""


def traced(subject: Subject) -> NNsight:
    """The subject's model under nnsight, wrapped once; its twin where the layers are, if they are elsewhere."""
    if subject.elsewhere is not None:
        return subject.elsewhere.model
    # With the subject, since it refers to the model: kept anywhere else, no model would ever be let go.
    held = vars(subject).get("_traced")
    if held is None or held[0] is not subject.model:
        held = vars(subject)["_traced"] = (subject.model, NNsight(subject.model))
    return held[1]


def layers_of(subject: Subject, root: Any) -> Any:
    """The list of decoder layers below `root`, which is the model or its traced twin."""
    for name in subject.anatomy.layers.split("."):
        root = getattr(root, name)
    return root


def read_site(layer: Any, kind: Site) -> torch.Tensor:
    """What a layer of the traced model has at a site, inside a trace: [B, T, features]."""
    if kind == "residual":
        return layer.output
    if kind == "norm":
        return layer.post_attention_layernorm.output
    module, side = MODULES[kind]
    return getattr(getattr(layer.self_attn, module), side)


def write_site(layer: Any, kind: Kind, value: torch.Tensor) -> None:
    """Put a value at a site of a layer of the traced model, inside a trace."""
    if kind == "residual":
        layer.output = value
    else:
        module, side = MODULES[kind]
        setattr(getattr(layer.self_attn, module), side, value)
