"""Sites, which are the places in the network that can be read or written, and how to get to them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from nnsight import NNsight
from nnsight.schema.config import CONFIG

from harness.subjects.subject import Subject

# nnsight turns its debug mode on when it finds -v in sys.argv, which is pytest's here.
CONFIG.APP.DEBUG = False

Kind = Literal["query", "key", "value", "head", "residual"]
"""Names of the sites of a decoder layer that can be edited, in the order in which the layer computes them.

query, key, value: outputs of the projections, before norms and rotation, [B, T, H, w]; keys and values have
as many heads as the configuration says, often fewer than queries.
head: output of the attention heads, the input of `o_proj`, [B, T, H, w].
residual: output of the layer, [B, T, d].
"""

KINDS: tuple[Kind, ...] = ("query", "key", "value", "head", "residual")

Site = Kind | Literal["norm"]
"""Any site that can be read: the kinds, and norm, the output of the norm after attention, [B, T, d]."""

ORDER: tuple[Site, ...] = ("query", "key", "value", "head", "norm", "residual")
"""All sites, in the order in which a layer computes them."""

MODULES: dict[Kind, tuple[str, Literal["input", "output"]]] = {
    "query": ("q_proj", "output"),
    "key": ("k_proj", "output"),
    "value": ("v_proj", "output"),
    "head": ("o_proj", "input"),
}
"""The module of `self_attn`, and its side, where a kind is found; the residual is the layer's own output."""


def wrap_model(subject: Subject) -> NNsight:
    """The subject's model wrapped by nnsight; if its layers are elsewhere, the twin that stands for them."""
    if subject.elsewhere is not None:
        return subject.elsewhere.model
    # Kept on the subject, since it refers to the model: kept elsewhere it would keep every model in memory.
    held = vars(subject).get("_traced")
    if held is None or held[0] is not subject.model:
        held = vars(subject)["_traced"] = (subject.model, NNsight(subject.model))
    return held[1]


def find_layers(subject: Subject, root: torch.nn.Module | NNsight) -> Any:
    """The list of decoder layers below `root`: torch's modules of the model, nnsight's of the traced model."""
    found: Any = root
    for name in subject.anatomy.layers.split("."):
        found = getattr(found, name)
    return found


def read_site(layer: Any, kind: Site) -> torch.Tensor:
    """The activation [B, T, features] at a site of a layer of the traced model; only inside a trace."""
    if kind == "residual":
        return layer.output
    if kind == "norm":
        return layer.post_attention_layernorm.output
    module, side = MODULES[kind]
    return getattr(getattr(layer.self_attn, module), side)


def write_site(layer: Any, kind: Site, value: torch.Tensor) -> None:
    """Replace the activation [B, T, features] at a site of a layer of the traced model; only inside a trace.

    Raises:
        ValueError: The site is norm, which can only be read.
    """
    if kind == "norm":
        raise ValueError("the output of the norm after attention can only be read")
    if kind == "residual":
        layer.output = value
    else:
        module, side = MODULES[kind]
        setattr(getattr(layer.self_attn, module), side, value)
