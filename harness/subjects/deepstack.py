"""Features of early vision layers that Qwen3-VL adds to the image tokens after its first decoder layers.

The text model takes them as arguments, which the model around it computes only from pixels. A batch already
holds the embedded image instead, so it carries the features along, and a hook passes them to the text model,
which adds them with its own code. A layer's output is then still the residual stream *before* the addition.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

ADDED = "deepstack"
"""Name of a batch's input [B, n, T, d]: what is added after decoder layers 0 to n - 1, zero at words."""


def accept_deepstack(model: PreTrainedModel) -> None:
    """Add a hook to a model, so that its forward takes the argument `deepstack`."""
    model.get_decoder().register_forward_pre_hook(_pass_on, with_kwargs=True)


def _pass_on(
    _: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    added = named.pop(ADDED, None)
    if added is not None:
        rows, _, length, _ = added.shape
        # True at every token, since zero is added to words: the text model flattens its mask row by row.
        named["visual_pos_masks"] = torch.ones(rows, length, dtype=torch.bool, device=added.device)
        named["deepstack_visual_embeds"] = [layer.flatten(0, 1) for layer in added.unbind(1)]
    return given, named
