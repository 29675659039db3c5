"""Reads which object an answer names, by its color and its shape, from the text that a subject writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.measuring.batches import cut_batches
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import COLORS, SHAPES
from harness.subjects.batch import Batch
from harness.subjects.spelling import COLOR_NAMES
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit
from harness.tracing.generate import decode_rows, generate_ids

ROWS = 32
"""Trials in one pass at most."""

SHAPE_SYNONYMS = {
    "plane": ("airplane", "aeroplane"),
    "cross": ("x",),
    "square": ("rectangle",),
    "sun": ("lightbulb", "bulb"),
}
"""Other words for a shape; the public reproduction takes them for the same (protocol, E9)."""

SHAPE_NAMES = {
    variant: shape for shape in SHAPES for variant in (shape, *SHAPE_SYNONYMS.get(shape, ()))
}
"""The shape that each word means, synonyms included."""

TOKENS = 12
"""Tokens that models of the paper's size write for a color and a shape, with an article and Markdown."""

DISTANCE = 4
"""Words between a color and its shape, at most: "red. The shape is a square"."""

SAID = 0.5
"""Share of the answers with a color that must go on with a shape for shapes to be scored: most of them."""


class Named(NamedTuple):
    """The object that an answer names; "" for what it does not say."""

    color: str
    shape: str


def read_object(text: str) -> Named:
    """The first object that a text names, however it is spelled: "The **Grey Airplane**." is a gray plane.

    Its color is the first word for a color, its shape the word for one that follows before another color.
    """
    words = re.findall(r"[a-z]+", text.lower())
    for place, word in enumerate(words):
        if word in COLOR_NAMES:
            for later in words[place + 1 : place + 2 + DISTANCE]:
                if later in COLOR_NAMES:
                    break
                if later in SHAPE_NAMES:
                    return Named(COLOR_NAMES[word], SHAPE_NAMES[later])
            return Named(COLOR_NAMES[word], "")
    return Named("", "")


def name_objects(
    subject: Subject,
    trials: Sequence[Trial],
    edits: Callable[[Batch, slice], Sequence[Edit]] | None = None,
) -> list[Named]:
    """Let a subject write out the object that it names after each prompt.

    A color that it only begins is told by its first token, as in all other experiments.

    Args:
        subject: The model.
        trials: n of them.
        edits: Makes the edits of one batch, on the prompt's tokens, from the batch and the slice of `trials`
            that it holds.
    """
    found: list[Named] = []
    steps = TOKENS if subject.entry.scale == "paper" else _count_tokens(subject)
    for part in cut_batches(len(trials), ROWS):
        batch = subject.encode(trials[part])
        made = edits(batch, part) if edits else ()
        ids = generate_ids(subject, batch, steps, made).ids
        begun = [subject.read_word(token) for token in ids[:, 0].tolist()]
        read = [read_object(text) for text in decode_rows(subject, ids)]
        found += [
            named if named.color else Named(color, "")
            for named, color in zip(read, begun, strict=True)
        ]
    return found


def _count_tokens(subject: Subject) -> int:
    """Tokens of the longest color and the longest shape, which are all that small subjects write."""
    own = subject.entry.stimuli.names
    words = [[f" {own.get(word, word)}" for word in of] for of in (COLORS, SHAPES)]
    cut = [subject.tokenizer(of, add_special_tokens=False)["input_ids"] for of in words]
    return sum(max(map(len, of)) for of in cut)


def tells_shapes(named: Sequence[Named]) -> bool:
    """Whether a subject goes on with a shape after most of the colors that it names."""
    shapes = [n.shape != "" for n in named if n.color]
    return bool(shapes) and float(np.mean(shapes)) >= SAID


class Scoring(NamedTuple):
    """What of an answer is compared: color and shape, as in the paper, or the color if no shape is said.

    Attributes:
        shapes: Whether shapes are compared as well.
    """

    shapes: bool

    @property
    def scored(self) -> str:
        """In words, for a measurement and for the reasons of its verdicts."""
        return "color and shape" if self.shapes else "color alone, since answers name no shape"

    def label(self, named: Sequence[Named]) -> NDArray[np.str_]:
        """What is compared of each answer or object, [n]: "red square" or "red"; "" where a part is missing."""
        if not self.shapes:
            return np.array([n.color for n in named])
        return np.array([f"{n.color} {n.shape}" if n.color and n.shape else "" for n in named])

    def label_targets(self, trials: Sequence[Trial]) -> NDArray[np.str_]:
        """What an answer must be to be right, [n]."""
        return self.label([Named(t.target.color, t.target.shape) for t in trials])

    def label_cells(self, trials: Sequence[Trial], cells: NDArray[np.int64]) -> NDArray[np.str_]:
        """What stands in one cell of each scene, [n]; cells are numbered in reading order, -1 is none of them.

        Raises:
            ValueError: A cell is empty.
        """
        found = []
        for trial, number in zip(trials, cells.tolist(), strict=True):
            if number < 0:
                found.append(Named("", ""))
                continue
            cell = trial.scene.grid.cells[number]
            shown = trial.scene.at(cell)
            if shown is None:
                raise ValueError(f"{cell} of the scene is empty: nothing can be named there")
            found.append(Named(shown.color, shown.shape))
        return self.label(found)
