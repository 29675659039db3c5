"""Copies of subjects that compute the same with their heads numbered otherwise."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from harness.tracing.site import find_layers


def renumber_heads(subject, seed):
    """A copy in which the heads of every layer stand in another order, with all that they read and write.

    Heads that share keys and values stay together, as grouped attention needs it.

    Returns:
        The copy, and the new number of every head, int64 [L, H].
    """
    rng, width = np.random.default_rng(seed), subject.head_width
    each = subject.heads // subject.key_heads
    model, renamed = deepcopy(subject.model), []
    for layer in find_layers(subject, model):
        groups = rng.permutation(subject.key_heads)
        heads = np.concatenate([each * group + rng.permutation(each) for group in groups])
        attention = layer.self_attn
        for projection, order in (
            (attention.q_proj, heads),
            (attention.k_proj, groups),
            (attention.v_proj, groups),
        ):
            for parameter in projection.parameters():
                parameter.data = parameter.data[list_features(order, width)].clone()
        written = attention.o_proj.weight
        written.data = written.data[:, list_features(heads, width)].clone()
        renamed.append(np.argsort(heads))
    return replace(subject, model=model, _images=OrderedDict()), np.array(renamed)


def list_features(heads, width):
    """The features of some heads, in their order, int64 [heads * width]."""
    return torch.from_numpy((heads[:, None] * width + np.arange(width)).ravel())
