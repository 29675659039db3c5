"""Subjects that are shown something else than the trial says: nothing may be found on them.

They keep weights, words and layouts as they are and break only the tie between what a trial says and what
the subject is shown, which is all that a claim about binding can rest on. What is shown instead depends on
the trial alone, not on the batch that it comes in, and is independent of the trial's labels: now and then it
is the right thing, as often as chance would have it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.stimuli.prompt import Prompt, Trial, scene_description
from harness.stimuli.scene import COLORS, SHAPES, Object, Scene
from harness.subjects.subject import Batch, Subject


class _Mixed:
    """Colors, shapes and cells, each exchanged for another one; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.colors = self._moved(tuple(COLORS))
        self.shapes = self._moved(tuple(SHAPES))

    def _moved(self, names: tuple[str, ...]) -> dict[str, str]:
        # A step all alike keeps distinct names distinct, and ends anywhere with the same chance.
        step = int(self.rng.integers(len(names)))
        return {name: names[(i + step) % len(names)] for i, name in enumerate(names)}

    def object(self, obj: Object) -> Object:
        return Object(self.colors[obj.color], self.shapes[obj.shape])

    def scene(self, scene: Scene) -> Scene:
        """Other objects in the scene's own cells, dealt out anew."""
        cells = sorted(scene.cells)
        places = dict(zip(cells, self.rng.permutation(len(cells)), strict=True))
        return replace(
            scene,
            objects=tuple(self.object(o) for o in scene.objects),
            cells=tuple(cells[places[cell]] for cell in scene.cells),
        )

    def words(self, text: str) -> str:
        """A text in which every color and shape is the other object's."""
        names = self.colors | self.shapes
        return re.sub(r"[a-z]+", lambda word: names.get(word[0], word[0]), text)


class WrongImage(Subject):
    """Reads each prompt beside another image: other objects in the scene's cells, dealt out anew."""

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """As `Subject.encode`, with other images."""
        shown = [replace(t, scene=_Mixed(int(t.scene.key, 16)).scene(t.scene)) for t in trials]
        return super().encode(shown)


class Shuffled(Subject):
    """Is given another trial in place of each, prompt and image together: right trials, wrong labels.

    Trials of one prompt are exchanged alike, so that the two sides of a contrast stay a contrast.
    """

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """As `Subject.encode`, with other trials."""
        return super().encode([self._other(t) for t in trials])

    @staticmethod
    def _other(trial: Trial) -> Trial:
        mixed = _Mixed(zlib.crc32(trial.prompt.text.encode()))
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
"""How an entry's `misled` is done."""
