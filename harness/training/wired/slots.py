"""The residual stream of a wired subject as named slots, with the embeddings of words in them."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from harness.stimuli.scene import COLORS, SHAPES

EDGES = (-4.67, -3.33, -2.0, -0.67, 0.67, 2.0, 3.33, 4.67)
"""Edges at which the place code steps, in image tokens from the middle; objects of a grid lie 3 or 4 apart.

A place is a thermometer: each step is +1/2 beyond its edge and -1/2 before it, for columns and for rows.
Places far apart differ in more steps, as position IDs of real models do (section 3.3), and all places are
have the same norm, so that the best match of a place is always that place.
"""

SLOTS = {
    "constant": 1,
    "word": 16,
    "article": 1,
    "question": 1,
    "and": 1,
    "said_color": len(COLORS),
    "said_shape": len(SHAPES),
    "before_color": len(COLORS),
    "before_shape": len(SHAPES),
    "second_before_color": len(COLORS),
    "seen": 1,
    "seen_color": len(COLORS),
    "seen_shape": len(SHAPES),
    "seen_object": 1,
    "seen_place": 2 * len(EDGES),
    "retrieved_place": 2 * len(EDGES),
    "found_place": 2 * len(EDGES),
    "selected_place": 2 * len(EDGES),
    "named_color": len(COLORS),
    "named_shape": len(SHAPES),
    "asked_shape": len(SHAPES),
    "answer_color": len(COLORS),
    "answer_hue": 2,
    "answer_shape": len(SHAPES),
}
"""Width of each slot. What is said, seen and answered is kept apart: a head reads only what it is wired to."""

_STARTS = dict(zip(SLOTS, accumulate([0, *SLOTS.values()]), strict=False))

WIDTH = -(-sum(SLOTS.values()) // 8) * 8
"""Width of the residual stream."""

CONSTANT = 6.0
"""The value in the constant slot of every token, which keeps the norms of tokens alike."""

Rows = NDArray[np.float64]


def at(slot: str) -> slice:
    """The dimensions of the residual stream that a slot takes up."""
    return slice(_STARTS[slot], _STARTS[slot] + SLOTS[slot])


def read_slot(slot: str, size: float = 1.0) -> Rows:
    """Weights that read a slot, one row per dimension, times `size`: float64 [slot's width, WIDTH]."""
    rows = np.zeros((SLOTS[slot], WIDTH))
    rows[:, at(slot)] = size * np.eye(SLOTS[slot])
    return rows


def read_entries(entries: slice) -> Rows:
    """Weights that read some dimensions of the residual stream, one row for each: float64 [entries, WIDTH]."""
    return np.eye(WIDTH)[entries]


def read_constant(size: float = 1.0) -> Rows:
    """Weights that give `size` at every token, [1, WIDTH]."""
    return read_slot("constant", size / CONSTANT)


def read_article() -> Rows:
    """Weights that give 1 at the word before an object is named ("a"), and 0 elsewhere, [1, WIDTH]."""
    return read_slot("article")


def read_full_stop() -> Rows:
    """Weights that give 1 at full stops, [1, WIDTH]: a question ends with one, a description goes on."""
    return read_slot("question")


def read_and() -> Rows:
    """Weights that give 1 at "and", and 0 elsewhere, [1, WIDTH]."""
    return read_slot("and")


def read_shape_word() -> Rows:
    """Weights that give 1 at the shape word that ends a mention, and 0 elsewhere, [1, WIDTH]."""
    return read_slot("said_shape").sum(0, keepdims=True)


def blank() -> Rows:
    """Weights that give 1 at image tokens without an object, and 0 elsewhere, [1, WIDTH].

    Heads that have nothing to look for look there, and bring nothing back.
    """
    return read_slot("seen") - read_slot("seen_object")


def embedding(tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator) -> torch.Tensor:
    """The embedding of each word, float32 [vocabulary, WIDTH].

    Words for colors and shapes fill the slots of what is said; all others have a random code.
    """
    table = np.zeros((len(tokenizer), WIDTH))
    table[:, at("constant")] = CONSTANT
    table[:, at("word")] = rng.normal(0, 0.25, (len(tokenizer), SLOTS["word"]))
    for slot, names in (("said_color", COLORS), ("said_shape", SHAPES)):
        for index, name in enumerate(names):
            token = tokenizer.convert_tokens_to_ids(name)
            table[token, at("word")] = 0
            table[token, at(slot).start + index] = 1
    for word, slot in (("a", "article"), (".", "question"), ("and", "and")):
        table[tokenizer.convert_tokens_to_ids(word), at(slot)] = 1
    return torch.tensor(table, dtype=torch.float32)


def unembedding(
    tokenizer: PreTrainedTokenizerFast, size: float, rng: np.random.Generator
) -> torch.Tensor:
    """The unembedding of each word, float32 [vocabulary, WIDTH]: a color reads its dimension of the answer."""
    table = rng.normal(0, 0.01, (len(tokenizer), WIDTH))
    for index, name in enumerate(COLORS):
        table[tokenizer.convert_tokens_to_ids(name), at("answer_color").start + index] = size
    return torch.tensor(table, dtype=torch.float32)
