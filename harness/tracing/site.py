"""Places in the network that can be read or written, and the traced model that leads to them."""

from __future__ import annotations

from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from nnsight import NNsight
from nnsight.schema.config import CONFIG

from harness.subjects.subject import Subject

# nnsight turns its debug mode on when it finds -v in sys.argv, which is pytest's here.
CONFIG.APP.DEBUG = False

Kind = Literal["residual", "head"]
"""residual: output of a decoder layer [B, T, d]; head: input of o_proj, cut into heads [B, T, H, d/H]."""

_TRACED: WeakKeyDictionary[torch.nn.Module, NNsight] = WeakKeyDictionary()


def traced(subject: Subject) -> NNsight:
    """The subject's model under nnsight, wrapped once."""
    if subject.model not in _TRACED:
        _TRACED[subject.model] = NNsight(subject.model)
    return _TRACED[subject.model]


def layers_of(subject: Subject, root: Any) -> Any:
    """The list of decoder layers below `root`, which is the model or its traced twin."""
    for name in subject.anatomy.layers.split("."):
        root = getattr(root, name)
    return root
