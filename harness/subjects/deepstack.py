"""Features of early vision layers that Qwen3-VL adds to the image tokens after its first decoder layers.

The text model takes them, but the model around it fills them in itself and only where it is given pixels.
A batch has the image in place already, so it brings them along, and a hook hands them to the text model,
which adds them with its own code. What a layer gives is then still the residual stream *before* the addition.
"""

from __future__ import annotations

from typing import Any

import torch

ADDED = "deepstack"
"""Name in a batch's inputs: [B, n, T, d], what is added after decoder layers 0 to n - 1; 0 at words."""


def accept_deepstack(model: torch.nn.Module) -> None:
    """Let a model take `deepstack` among the arguments of its forward."""
    model.get_decoder().register_forward_pre_hook(_handed_over, with_kwargs=True)


def _handed_over(
    _: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    added = named.pop(ADDED, None)
    if added is not None:
        rows, _, length, _ = added.shape
        # Everywhere, since 0 is added to words: the text model flattens its mask row by row.
        named["visual_pos_masks"] = torch.ones(rows, length, dtype=torch.bool, device=added.device)
        named["deepstack_visual_embeds"] = [layer.flatten(0, 1) for layer in added.unbind(1)]
    return given, named
