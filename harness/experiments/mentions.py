"""Which token of a mention is read: the comma after it, the last piece of its noun, or that of its color."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness.experiments.editing import capture_all
from harness.measures.similarity import cosine_rsm
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject

TOKENS = ("separator", "noun", "color")
"""Tokens of a mention where a code may stand; the papers read the separator, which is a comma."""


def list_tokens(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Those of TOKENS that every mention has: where a prompt names an object without a comma, no separator."""
    commas = (c for t in trials for c in t.prompt.separators[: len(t.described)])
    return TOKENS if None not in commas else TOKENS[1:]


def find_tokens_of_mentions(batch: Batch, token: str) -> list[list[int]]:
    """The index of one token of each mention in every row.

    Raises:
        ValueError: The separator is asked for, and a mention has none.
    """
    if token == "noun":
        return [[mention[-1] for mention in row] for row in batch.mentions]
    if token == "color":
        return [list(row) for row in batch.colors]
    found = [[comma for comma in row if comma is not None] for row in batch.separators]
    if list(map(len, found)) != list(map(len, batch.mentions)):
        raise ValueError("a mention has no comma after it: read its noun or its color instead")
    return found


def capture_mentions(subject: Subject, trials: Sequence[Trial]) -> dict[str, NDArray[np.float32]]:
    """The residual stream at each token of the mentions, and at the last token, all read in one run.

    Args:
        subject: The model.
        trials: n of them, each with S mentions.

    Returns:
        float32 [L, n, S, d] by the tokens that `list_tokens` gives, and [L, n, 1, d] as "last".
    """
    tokens = list_tokens(trials)
    states = capture_all(subject, trials, "residual", _make_finder(tokens)).numpy()
    *parts, last = np.split(states, np.arange(1, len(tokens) + 1) * len(trials[0].described), 2)
    return {**dict(zip(tokens, parts, strict=True)), "last": last}


def compare_states(states: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine similarities [L, S, n, n] of states [L, n, S, d], one layer after the other to spare memory."""
    return np.stack([cosine_rsm(layer.transpose(1, 0, 2)) for layer in states])


def _make_finder(tokens: Sequence[str]) -> Callable[[Batch], torch.Tensor]:
    def find(batch: Batch) -> torch.Tensor:
        found = [torch.tensor(find_tokens_of_mentions(batch, token)) for token in tokens]
        return torch.cat([*found, torch.full((len(batch), 1), batch.last)], 1)

    return find
