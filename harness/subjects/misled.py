"""Subjects that are shown something other than the trial says, so that no claim may hold for them.

Weights, words and layouts stay as they are; only the tie between what a trial says and what the subject is
shown is broken, and a claim about binding can rest on nothing else. What is shown instead depends on the trial
alone, not on its batch, and is independent of the trial's labels: it is right as often as chance has it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.stimuli.prompt import Prompt, Trial, scene_description
from harness.stimuli.scene import COLORS, SHAPES, Object, Scene
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject


class _Exchange:
    """A random exchange of colors, shapes and cells, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.colors = self._shift(tuple(COLORS))
        self.shapes = self._shift(tuple(SHAPES))

    def _shift(self, names: tuple[str, ...]) -> dict[str, str]:
        # Shifting all names by one step keeps distinct names distinct, and gives each name the same chance.
        step = int(self.rng.integers(len(names)))
        return {name: names[(i + step) % len(names)] for i, name in enumerate(names)}

    def object(self, obj: Object) -> Object:
        return Object(self.colors[obj.color], self.shapes[obj.shape])

    def scene(self, scene: Scene) -> Scene:
        """The scene with other objects, placed anew in its own cells."""
        cells = sorted(scene.cells)
        places = dict(zip(cells, self.rng.permutation(len(cells)), strict=True))
        return replace(
            scene,
            objects=tuple(self.object(o) for o in scene.objects),
            cells=tuple(cells[places[cell]] for cell in scene.cells),
        )

    def words(self, text: str) -> str:
        """The text with every color and shape exchanged."""
        names = self.colors | self.shapes
        return re.sub(r"[a-z]+", lambda word: names.get(word[0], word[0]), text)


class WrongImage(Subject):
    """A subject that reads each prompt with another image: other objects, placed anew in the scene's cells."""

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """Encode trials as `Subject.encode` does, with other images."""
        shown = [replace(t, scene=_Exchange(int(t.scene.key, 16)).scene(t.scene)) for t in trials]
        return super().encode(shown)


class Shuffled(Subject):
    """A subject that is given another trial in place of each: prompt and image agree, the labels are wrong.

    Trials with one prompt are exchanged alike, so that the two sides of a contrast stay a contrast.
    """

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """Encode trials as `Subject.encode` does, with other trials in their place."""
        return super().encode([self._exchange(t) for t in trials])

    @staticmethod
    def _exchange(trial: Trial) -> Trial:
        mixed = _Exchange(zlib.crc32(trial.prompt.text.encode()))
        if not trial.described:
            asked = Prompt(mixed.words(trial.prompt.text), mixed.words(trial.prompt.completion))
            target = trial.target and mixed.object(trial.target)
            return Trial(mixed.scene(trial.scene), asked, (), target)
        described = tuple(mixed.object(o) for o in trial.described)
        target = mixed.object(trial.target)
        commas = trial.prompt.separators[len(described) - 1] is not None
        prompt = scene_description(described, target, commas=commas)
        return Trial(mixed.scene(trial.scene), prompt, described, target)


MISLEADING: dict[str, type[Subject]] = {"wrong-image": WrongImage, "shuffled": Shuffled}
"""Class of the subject for each value of an entry's `misled`."""
