"""Sites, which are the places in the network that can be read or written, and how to get to them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from nnsight import NNsight
from nnsight.schema.config import CONFIG

from harness.subjects.subject import Subject

# nnsight turns its debug mode on when it finds -v in sys.argv, which is pytest's here.
CONFIG.APP.DEBUG = False

Kind = Literal["embedding", "query", "key", "value", "head", "residual"]
"""Names of the sites that can be edited: the embedding, and those of a decoder layer in its order.

embedding: what the decoder is given, [B, T, P, d]: part 0 enters the first layer, and part p is what DeepStack
adds to the input of layer p. Only Qwen3-VL has more than one part. It belongs to layer 0.
query, key, value: outputs of the projections, before norms and rotation, [B, T, H, w]; keys and values have
as many heads as the configuration says, often fewer than queries.
head: output of the attention heads, the input of `o_proj`, [B, T, H, w].
residual: output of the layer, [B, T, d].
"""

KINDS: tuple[Kind, ...] = ("query", "key", "value", "head", "residual")
"""The sites that every decoder layer has."""

EDITED: tuple[Kind, ...] = ("embedding", *KINDS)
"""All sites that can be edited, in the order in which a run comes to them."""

Site = Kind | Literal["written", "norm"]
"""Any site that can be read: the kinds; written, the length of what each head adds to the residual stream,
[B, T, H]; and norm, the output of the norm after attention, [B, T, d]."""

ORDER: tuple[Site, ...] = ("query", "key", "value", "head", "written", "norm", "residual")
"""All sites of a layer, in the order in which it computes them."""

MODULES: dict[Site, tuple[str, Literal["input", "output"]]] = {
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
    """The activation [B, T, features] at a site of a layer of the traced model; only inside a trace.

    For written it is that of head, see `measure_written`.

    Raises:
        ValueError: The site is the embedding, see `harness.tracing.embedding`.
    """
    if kind == "embedding":
        raise ValueError("the embedding is an input of the model, not a site of a layer")
    if kind == "residual":
        return layer.output
    if kind == "norm":
        return layer.post_attention_layernorm.output
    # What is written is computed of the heads' outputs, at those tokens alone that are read.
    module, side = MODULES["head" if kind == "written" else kind]
    return getattr(getattr(layer.self_attn, module), side)


def measure_written(given: torch.Tensor, weight: torch.Tensor, width: int) -> torch.Tensor:
    """The length of what each head adds to the residual stream, float32 [B, S, H].

    Unlike the length of the head's output, it stays what it is where values are scaled and the projection takes
    that back, or where the basis of the residual stream is another: it is a property of what the model
    computes.

    Args:
        given: The input of `o_proj`, [B, S, H * w].
        weight: Of `o_proj`, [d, H * w].
        width: Features of one head, w.
    """
    parts = weight.detach().float().unflatten(1, (-1, width))
    # |W x| by way of x'W'W x, which needs no vector of d features for every head and token.
    inner = torch.einsum("dhv,dhw->hvw", parts, parts)
    outputs = given.float().unflatten(-1, (-1, width))
    return torch.einsum("bshv,hvw,bshw->bsh", outputs, inner, outputs).clamp(min=0).sqrt()


def write_site(layer: Any, kind: Site, value: torch.Tensor) -> None:
    """Replace the activation [B, T, features] at a site of a layer of the traced model; only inside a trace.

    Raises:
        ValueError: The site is norm or written, which can only be read, or the embedding.
    """
    if kind in ("norm", "written"):
        raise ValueError(f"the site {kind!r} can only be read")
    if kind == "embedding":
        raise ValueError("the embedding is an input of the model, not a site of a layer")
    if kind == "residual":
        layer.output = value
    else:
        module, side = MODULES[kind]
        setattr(getattr(layer.self_attn, module), side, value)
