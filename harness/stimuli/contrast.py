"""Clean and counterfactual pairs for causal mediation, each with the answer it predicts (section 3.4).

Activations are patched from the counterfactual into the clean run. A contrast says which answer the
clean run gives (a1) and which one the patch predicts (a1*); whether it comes is what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.stimuli.design import draw_two_object_scenes
from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import Grid, Object, Scene

Condition = Literal["id_retrieval", "id_selection", "feature_retrieval"]
CONDITIONS: tuple[Condition, ...] = ("id_retrieval", "id_selection", "feature_retrieval")


@dataclass(frozen=True, slots=True)
class Contrast:
    """One clean trial and its counterfactual.

    Attributes:
        condition: Which stage the contrast isolates.
        clean: c1 of Eq. 1.
        counterfactual: c2 of Eq. 1; same prompt, other image.
        patched: Where values are replaced: the tokens of the described object, or the last token.
        clean_answer: a1, the color that the clean run should name.
        patched_answer: a1*, the color that the patch predicts.
    """

    condition: Condition
    clean: Trial
    counterfactual: Trial
    patched: Literal["mention", "last"]
    clean_answer: str
    patched_answer: str


def _describe(scene: Scene, described: Object, target: Object) -> Trial:
    prompt = scene_description((described,), target, commas=False)
    return Trial(scene, prompt, (described,), target)


def id_retrieval(scene: Scene, described: Object, target: Object, _other: Object) -> Contrast:
    """The contrast of ID retrieval: the objects swap places, and the mention is patched.

    The ID retrieved there then points to the target's clean place, so what is left to name is the object
    that the prompt describes.
    """
    return Contrast(
        "id_retrieval",
        _describe(scene, described, target),
        _describe(scene.swapped(described, target), described, target),
        "mention",
        target.color,
        described.color,
    )


def id_selection(scene: Scene, described: Object, target: Object, _other: Object) -> Contrast:
    """The contrast of ID selection: the objects swap places, and the last token is patched.

    The ID selected there is the target's place in the swapped image, where the clean image has the described
    object.
    """
    return Contrast(
        "id_selection",
        _describe(scene, described, target),
        _describe(scene.swapped(described, target), described, target),
        "last",
        target.color,
        described.color,
    )


def feature_retrieval(scene: Scene, described: Object, target: Object, other: Object) -> Contrast:
    """The contrast of feature retrieval: another object takes the target's place, the last token is patched.

    The features retrieved there are those of the counterfactual's target.
    """
    return Contrast(
        "feature_retrieval",
        _describe(scene, described, target),
        _describe(scene.replaced(target, other), described, other),
        "last",
        target.color,
        other.color,
    )


_CONTRASTS: dict[Condition, Callable[[Scene, Object, Object, Object], Contrast]] = {
    "id_retrieval": id_retrieval,
    "id_selection": id_selection,
    "feature_retrieval": feature_retrieval,
}


def draw_contrasts(
    condition: Condition,
    grid: Grid,
    objects: Sequence[Object],
    trials: int,
    rng: np.random.Generator,
) -> list[Contrast]:
    """Draw contrasts of one condition on scenes of two objects.

    Which of the two objects is described is drawn at random, independently of its place. `objects`
    must hold at least three that share no feature.

    Raises:
        ValueError: No object shares no feature with the two that were drawn.
    """
    found = []
    for scene in draw_two_object_scenes(grid, objects, trials, rng):
        described, target = (scene.objects[i] for i in rng.permutation(2))
        others = [
            o
            for o in objects
            if all(o.color != p.color and o.shape != p.shape for p in (described, target))
        ]
        if not others:
            raise ValueError("a feature contrast needs a third object that shares no feature")
        other = others[int(rng.integers(len(others)))]
        found.append(_CONTRASTS[condition](scene, described, target, other))
    return found
