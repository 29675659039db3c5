"""Logits from the last layer's output, more exact than those that the model computes itself.

In bfloat16 a logit of 20 moves in steps of 1/8, which is as much as a head's whole effect. And in float32
the last product alone rounds a score of a small model by 1e-5, more than all layers before it together. So
the few logits that a score is made of are computed in float64.
"""

from __future__ import annotations

import torch

from harness.subjects.subject import Subject

VOCABULARY_PART = 2**14
"""How many words' logits are computed at once when those of the whole vocabulary are wanted."""


def compute_logits(
    subject: Subject, hidden: torch.Tensor, read: torch.Tensor | None
) -> torch.Tensor:
    """Compute the logits that follow from the residual stream after the last layer.

    Args:
        subject: The model.
        hidden: [..., B, d], output of the last layer, before the final norm.
        read: int64 [B, A], tokens whose logits are wanted; None for the whole vocabulary.

    Returns:
        On the CPU: float64 [..., B, A], or float32 [..., B, vocabulary].
    """
    head = subject.model.get_output_embeddings()
    dtype = torch.float32 if read is None else torch.float64
    # The final norm stands beside the decoder layers in every family.
    path, _, _ = subject.anatomy.layers.rpartition(".")
    norm = subject.model.get_submodule(path).norm
    weights = {name: p.to(dtype) for name, p in norm.named_parameters()}
    normed = torch.func.functional_call(norm, weights, (hidden.to(dtype),)).to(head.weight.device)
    if read is None:
        # In parts, since in half precision each is copied to float32 first.
        parts = [normed @ w.to(dtype).mT for w in head.weight.split(VOCABULARY_PART)]
        logits, bias = torch.cat(parts, -1), head.bias
    else:
        chosen = read.to(head.weight.device)
        logits = torch.einsum("...bd,bad->...ba", normed, head.weight[chosen].to(dtype))
        bias = None if head.bias is None else head.bias[chosen]
    return (logits if bias is None else logits + bias.to(dtype)).cpu()
