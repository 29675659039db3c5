"""Controls in which the known heads of one stage give only a share of what they gave.

A curve of verdicts over such shares says how small a mechanism may be and still be seen. What is turned down is
what the heads write: the columns of their output projections are multiplied by the share. Where they look and
what they find there stays.

What is taken away is not replaced by the heads' mean. A mean belongs to one kind of token in one kind of
prompt, while a constant in the weights would stand at every token, where the heads give something else or
nothing; and few of these architectures have a place for one, so that what is judged would be no checkpoint
that could be released. With nothing left the heads give zero, which is a constant too.

So the rest of the model misses the heads' mean, and a share is no size: at a quarter `planted` answers as
before, since its last token, from which less is taken away, looks at all objects more and a small difference
decides; with the mean left in place it would fail. A curve is therefore read in what the claims measure, in
logits or shares of answers, and not in the share that made it.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

import torch

from harness.subjects.subject import Subject


@torch.no_grad()
def weaken(subject: Subject, heads: Iterable[tuple[int, int]], share: float) -> Subject:
    """Make a subject in which some heads give a share of what they gave; the given one stays as it is.

    Args:
        subject: Of any family whose layers have an output projection `self_attn.o_proj`.
        heads: As (layer, head).
        share: From 0, at which they give nothing, to 1, at which the weights are the same.
    """
    made = replace(subject, model=copy.deepcopy(subject.model), _images=OrderedDict())
    layers, width = made.model.get_submodule(made.anatomy.layers), made.head_width
    for layer, head in heads:
        written = layers[layer].self_attn.o_proj.weight
        written[:, head * width : (head + 1) * width] *= share
    return made
