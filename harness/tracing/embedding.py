"""The embedding: what the decoder is given at every token, read and written on a batch's inputs.

Its parts are what enters the first decoder layer and, in Qwen3-VL, the features of early vision layers that are
added to the input of later ones. A batch holds all of them, so that an edit needs no hook.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.subjects.deepstack import ADDED
from harness.tracing.edit import Edit

EMBEDDED = "inputs_embeds"
"""Name of a batch's input [B, T, d]: what enters the first decoder layer."""


def count_parts(inputs: dict[str, torch.Tensor]) -> int:
    """How many parts the embedding of a batch has."""
    return 1 + (inputs[ADDED].shape[1] if ADDED in inputs else 0)


def read_embedding(inputs: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """The embedding at some tokens, a copy on the CPU.

    Args:
        inputs: Of a batch of B rows.
        tokens: int64 [B, S].

    Returns:
        float32 [B, S, P * d], part after part.
    """
    device = inputs[EMBEDDED].device
    rows, tokens = torch.arange(len(tokens), device=device)[:, None], tokens.to(device)
    parts = [find_part(inputs, part)[rows, tokens] for part in range(count_parts(inputs))]
    return torch.cat(parts, -1).float().cpu().detach()


def write_embedding(
    inputs: dict[str, torch.Tensor], edits: Sequence[Edit], rows: slice = slice(None)
) -> None:
    """Make those of some edits that are of the embedding, in place, on some rows of a batch's inputs."""
    for edit in edits:
        if edit.kind != "embedding":
            continue
        for part in range(count_parts(inputs)):
            of_part = edit.select_part(part)
            if of_part is not None:
                of_part.write(find_part(inputs, part)[rows], 1)


def find_part(inputs: dict[str, torch.Tensor], part: int) -> torch.Tensor:
    """One part of the embedding [B, T, d], as a view of the input that holds it."""
    return inputs[ADDED][:, part - 1] if part else inputs[EMBEDDED]
