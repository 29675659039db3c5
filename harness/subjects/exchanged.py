"""Subjects for which colors, shapes or sides have exchanged their names, and are exchanged in what is shown.

Nothing is misled: a word and what it names are exchanged together, so that every trial stays right. The task
is the same one on other scenes, and verdicts may change only as they may with another seed.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BatchFeature

from harness.stimuli.prompt import Trial
from harness.stimuli.scene import COLORS, SHAPES, Scene
from harness.subjects.batch import Batch
from harness.subjects.renumbering import NoTwin, renumber
from harness.subjects.subject import Subject


def draw_cycle(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random permutation of `count` numbers in which none keeps its place, unless it is the only one."""
    order = rng.permutation(count)
    cycle = np.empty(count, np.int64)
    cycle[order] = np.roll(order, 1)
    return cycle


class _Exchanged(Subject):
    """A subject that is shown other scenes than a trial names, and reads and says other words to match."""

    words: ClassVar[dict[str, str]]

    def show(self, scene: Scene) -> Scene:
        """The scene that is drawn in place of another one."""
        raise NotImplementedError

    def processed(self, scenes: Sequence[Scene]) -> tuple[BatchFeature, dict[str, torch.Tensor]]:
        """Output of the image processor for what is shown in place of the scenes."""
        return super().processed([self.show(scene) for scene in scenes])


def _exchange_all(names: Iterable[str]) -> dict[str, str]:
    """Each name with the one that it is exchanged for, the same ones every time."""
    names = list(names)
    order = draw_cycle(len(names), np.random.default_rng(0))
    return {name: names[i] for name, i in zip(names, order, strict=True)}


class OtherColors(_Exchanged):
    """A subject for which colors have exchanged their names, on scenes in which they have exchanged places."""

    words: ClassVar = _exchange_all(COLORS)

    def show(self, scene: Scene) -> Scene:
        """The scene in the other colors."""
        changed = (replace(o, color=self.words.get(o.color, o.color)) for o in scene.objects)
        return replace(scene, objects=tuple(changed))


class OtherShapes(_Exchanged):
    """A subject for which shapes have exchanged their names, on scenes in which they have exchanged places."""

    words: ClassVar = _exchange_all(SHAPES)

    def show(self, scene: Scene) -> Scene:
        """The scene with the other shapes."""
        changed = (replace(o, shape=self.words.get(o.shape, o.shape)) for o in scene.objects)
        return replace(scene, objects=tuple(changed))


class Mirrored(_Exchanged):
    """A subject that is shown every scene with left and right exchanged, and says the one for the other.

    Image tokens are listed as they lie in the scene that a trial names, so that a cell has the tokens in which
    its object is.
    """

    words: ClassVar = {"left": "right", "right": "left"}

    def show(self, scene: Scene) -> Scene:
        """The scene with the columns of its cells in the other order; objects are not turned around."""
        last = scene.grid.rows - 1
        return replace(scene, cells=tuple(c._replace(column=last - c.column) for c in scene.cells))

    def encode(self, trials: Sequence[Trial]) -> Batch:
        """Encode trials as `Subject.encode` does, with mirrored images."""
        batch = super().encode(trials)
        if batch.image_grid is None:
            raise NoTwin(f"{self.name}: image tokens that form no grid cannot be mirrored")
        tokens = batch.image_tokens.view(len(batch), *batch.image_grid).flip(-1)
        return replace(batch, image_tokens=tokens.flatten(1))


EXCHANGED: dict[str, type[_Exchanged]] = {
    "colors": OtherColors,
    "renamed": OtherShapes,
    "mirrored": Mirrored,
}
"""Class of the subject for each exchange of what is shown and said, by the name of the variant."""


def exchange(subject: Subject, how: str) -> Subject:
    """A subject that is shown and told the same in exchanged colors, shapes or sides; it has the same weights.

    Args:
        subject: Its tokenizer has one token for each word.
        how: A name of EXCHANGED.

    Raises:
        NoTwin: It has others.
    """
    kind = EXCHANGED[how]
    numbers = subject.tokenizer.get_vocab()
    written = json.loads(subject.tokenizer.backend_tokenizer.to_str())
    if written["model"]["type"] != "WordLevel" or kind.words.keys() - numbers.keys():
        raise NoTwin(
            f"{subject.name}: only a tokenizer with one token for each word can exchange them"
        )
    own = {f.name: getattr(subject, f.name) for f in fields(Subject)}
    other = renumber(subject.tokenizer, lambda token, n: numbers[kind.words.get(token, token)])
    return kind(**own | dict(tokenizer=other, _images=OrderedDict()))
