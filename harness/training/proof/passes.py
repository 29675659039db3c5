"""Forward passes of a control over a family of trials: images once, then the sentence from any token on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from harness.stimuli.prompt import Trial
from harness.training.architectures import Untrained
from harness.training.packing import image_prefix
from harness.training.taught.hooks import Edit, Hooked, Read, Seen

Kept = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, each [N, HEADS, tokens, d]."""


@dataclass(frozen=True)
class Clean:
    """A family's trials as the model reads them, without an edit.

    Attributes:
        read: The sentence; tokens count from the first of the sentence.
        seen: What hooks saw at the sentence's tokens.
        kept: Keys and values of all tokens but the last, image included.
        image: Number of image tokens.
        states: The residual stream after the first layer at every trial's image tokens, float32
            [N, image, width].
    """

    read: Read
    seen: Seen
    kept: Kept
    image: int
    states: torch.Tensor

    @property
    def mention(self) -> list[int]:
        """Tokens that name the described object."""
        return self.read.mentions[0]


class Passes:
    """A control that is run by its own forward pass, with hooks at the heads.

    What stands before an edit cannot depend on it, since no token sees a later one. So the keys and values
    of the image are computed once for both prompts about it, and those of the sentence up to an edit once
    for all edits there.
    """

    def __init__(self, subject: Untrained) -> None:
        """Take a subject in evaluation mode."""
        self.hooked = Hooked(subject)

    def read(self, trials: Sequence[Trial]) -> Clean:
        """Run trials whose prompts have one layout."""
        subject = self.hooked.subject
        whole = self.hooked.encode(trials)
        prefix, _ = image_prefix(subject.tokenizer, subject.model)
        image = len(prefix)
        first, of = np.unique(
            [t.scene.key for t in trials], return_index=True, return_inverse=True
        )[1:]
        inputs = {name: value[first] for name, value in whole.inputs.items()}
        inputs["input_ids"] = inputs["input_ids"][:, :image]
        pictured, kept = self._run(replace(whole, inputs=inputs), [])
        rows = torch.from_numpy(of)
        kept = [(keys[rows], values[rows]) for keys, values in kept]
        read = Read(
            {"input_ids": whole.inputs["input_ids"][:, image:]},
            [[t - image for t in m] for m in whole.mentions],
            [t - image for t in whole.commas],
            whole.last - image,
        )
        seen, kept = self._run(read, kept)
        return Clean(read, seen, _cut(kept, image + read.last), image, pictured.states[0][rows])

    def again(self, clean: Clean, first: int, edit: Edit) -> NDArray[np.str_]:
        """Run the sentence once more with an edit.

        Args:
            clean: The trials.
            first: The first token that the edit changes; it gets the heads from this token on.
            edit: From a layer and its heads' output [N, T - first, HEADS, d] to what takes its place.

        Returns:
            What each trial says, [N].
        """
        inputs = {"input_ids": clean.read.inputs["input_ids"][:, first:]}
        read = replace(clean.read, inputs=inputs)
        return self._run(read, _cut(clean.kept, clean.image + first), edit)[0].said

    def _run(self, read: Read, kept: Kept, edit: Edit | None = None) -> tuple[Seen, Kept]:
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(kept):
            cache.update(keys, values, layer)
        inputs = {**read.inputs, "past_key_values": cache}
        seen = self.hooked.run(replace(read, inputs=inputs), edit)
        return seen, [(layer.keys, layer.values) for layer in cache.layers]


def _cut(kept: Kept, tokens: int) -> Kept:
    return [(keys[:, :, :tokens], values[:, :, :tokens]) for keys, values in kept]
