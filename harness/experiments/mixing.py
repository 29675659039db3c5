"""Edits that mix something into what some heads give, with heads and directions drawn anew for every scene.

What is held against an edit is drawn for each scene apart, so that an interval over scenes knows of the draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness.experiments.editing import Head
from harness.experiments.other_heads import OtherHeads, deal_by_place
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit


def mark_heads(heads: Iterable[Head], subject: Subject, trials: int) -> torch.Tensor:
    """Mark the same heads for every trial, bool [trials, L, H]."""
    marked = torch.zeros(trials, subject.layers, subject.heads, dtype=torch.bool)
    for layer, head in heads:
        marked[:, layer, head] = True
    return marked


def mark_other_heads(
    heads: Sequence[Head],
    others: OtherHeads,
    subject: Subject,
    scenes: NDArray[np.str_],
    rng: np.random.Generator,
) -> torch.Tensor:
    """Mark other heads, as many in every layer as the given ones if it has them, drawn anew for every scene.

    Args:
        heads: To be matched; none of them is marked.
        others: Those of which they are drawn.
        subject: The model.
        scenes: The scene of each trial [n]; trials about one scene share a draw.
        rng: Where the randomness comes from.

    Returns:
        bool [n, L, H].
    """
    keys, numbers = np.unique(scenes, return_inverse=True)
    sets = others.draw(heads, rng, len(keys))
    marked = torch.cat([mark_heads(of_scene, subject, 1) for of_scene in sets])
    return marked[torch.from_numpy(numbers)]


def draw_same_norm(
    difference: torch.Tensor,
    places: NDArray[np.int64],
    scenes: NDArray[np.str_],
    rng: np.random.Generator,
) -> torch.Tensor:
    """Draw a random direction for every scene and head, as long as a difference is.

    A direction is one of the head's own features, so that no basis of the residual stream changes it, and is
    drawn for the place of a head and not for its number. In which basis a head has its features is a choice of
    the model's: the interval over scenes knows of that, as of the draw.

    Args:
        difference: [L, n, 1, H, w].
        places: The place of every head in the order of its layer, [L, H] (`OtherHeads`).
        scenes: The scene of each trial [n]; trials about one scene share the directions.
        rng: Where the randomness comes from.

    Returns:
        float32 of the same shape, of the same norm for every trial and head.
    """
    keys, numbers = np.unique(scenes, return_inverse=True)
    layers, _, _, heads, width = difference.shape
    drawn = torch.from_numpy(rng.normal(size=(len(keys), layers, heads, width)).astype(np.float32))
    of_trial = deal_by_place(drawn, places)[torch.from_numpy(numbers)].transpose(0, 1)[:, :, None]
    return of_trial / of_trial.norm(dim=-1, keepdim=True) * difference.norm(dim=-1, keepdim=True)


def mix_in(
    marked: torch.Tensor, tokens: torch.Tensor, values: torch.Tensor, share: float
) -> list[Edit]:
    """Edits that replace a share of what marked heads give: o becomes (1 - share) o + share v.

    Args:
        marked: Which heads of each trial are edited, bool [n, L, H].
        tokens: int64 [n, S].
        values: What is mixed in, v, [L, n, S, H, w].
        share: 0 leaves all as it is, 1 leaves nothing of it.
    """
    edits = []
    for layer in torch.nonzero(marked.any(0).any(1)).flatten().tolist():
        of_head = share * marked[:, layer, None, :, None].float()
        edits += [
            Edit("head", layer, tokens, 1 - of_head, how="scale"),
            Edit("head", layer, tokens, of_head * values[layer], how="add"),
        ]
    return edits


def add_to(
    marked: torch.Tensor, tokens: torch.Tensor, values: torch.Tensor, factor: float = 1.0
) -> list[Edit]:
    """Edits that add something to what marked heads give: o becomes o + factor v; arguments as in `mix_in`."""
    return [
        Edit(
            "head",
            layer,
            tokens,
            factor * marked[:, layer, None, :, None].float() * values[layer],
            how="add",
        )
        for layer in torch.nonzero(marked.any(0).any(1)).flatten().tolist()
    ]
