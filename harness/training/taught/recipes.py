"""What each taught control is taught: which heads carry which stage, and where codes stand."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.stimuli.contrast import CONDITIONS, Condition

Place = tuple[int, int]
"""Layer and head."""


@dataclass(frozen=True)
class Recipe:
    """How a control is taught.

    Attributes:
        name: Name of the control.
        start: The embedded subject whose weights it begins with.
        heads: (layer, head) of each stage.
        gather: (layer, head) of the head that brings the places of all objects to the last token, from which
            selection takes those of the named ones away.
        mention_layers: Layers after which a linear read-out of the place of a named object is trained, at the
            words that name it.
        place_layers: Layers after which one of the target's place is trained, at the last token.
        feature_layers: Layers after which one of the target's features is trained, at the last token.
        strict: Whether the answer must depend on the stages' heads alone, and features stay away from the
            last token until their heads bring them.
        seed: Seed of every batch.
        steps: Optimiser steps of the first part.
        horizons: Steps in which the rates of the two parts would fall to a tenth; the parts end before that.
        further: Steps of the second part, on more objects, which begins with a fresh optimiser.
        scaffold: Steps until the interchange losses begin; before them only read-outs and the task are trained.
        rise: Steps in which the interchange losses rise to their weight.
        rate: Highest learning rate.
        further_rate: The highest learning rate of the second part.
        warmup: Steps until the highest learning rate.
        mixed: Images of the embedded subjects' own task mix in one step, so that nothing else is forgotten.
        threads: Torch threads, on which the last bits of sums depend.
    """

    name: str
    start: str
    heads: dict[Condition, tuple[Place, ...]]
    gather: Place
    mention_layers: tuple[int, ...]
    place_layers: tuple[int, ...]
    feature_layers: tuple[int, ...]
    strict: bool = True
    seed: int = 1
    steps: int = 700
    further: int = 350
    horizons: tuple[int, int] = (1000, 350)
    scaffold: int = 200
    rise: int = 100
    rate: float = 1e-3
    further_rate: float = 8e-4
    warmup: int = 50
    mixed: int = 4
    threads: int = 1

    def smoke(self) -> Recipe:
        """The same recipe cut to seconds, to prove that the code runs; it teaches nothing."""
        return replace(self, steps=6, further=2, scaffold=1, rise=2, warmup=2, mixed=1)

    @property
    def whole(self) -> int:
        """The number of training steps of both parts together."""
        return self.steps + self.further

    @property
    def places(self) -> list[Place]:
        """(layer, head) of all stages together."""
        return [place for stage in CONDITIONS for place in self.heads[stage]]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "taught",
            "tiny-llava",
            {
                "id_retrieval": ((2, 0), (2, 1)),
                "id_selection": ((4, 2), (4, 3)),
                "feature_retrieval": ((6, 4), (6, 5)),
            },
            gather=(4, 7),
            mention_layers=(2, 3),
            place_layers=(4, 5),
            feature_layers=(6, 7),
        ),
        Recipe(
            "taught-content",
            "tiny-llava",
            {
                "id_retrieval": ((2, 0), (2, 1)),
                "id_selection": ((4, 2), (4, 3)),
                "feature_retrieval": ((6, 4), (6, 5)),
            },
            gather=(4, 7),
            mention_layers=(2, 3),
            place_layers=(4, 5),
            feature_layers=(2, 3, 4, 5, 6, 7),
            strict=False,
            seed=2,
        ),
        Recipe(
            "taught-spread",
            "tiny-qwen2-vl",
            {
                "id_retrieval": ((1, 0), (1, 3), (2, 1), (2, 6)),
                "id_selection": ((3, 2), (3, 5), (4, 0), (4, 7)),
                "feature_retrieval": ((5, 1), (5, 4), (6, 3), (6, 6)),
            },
            gather=(3, 7),
            mention_layers=(2, 3, 4, 5, 6, 7),
            place_layers=(4, 5),
            feature_layers=(6, 7),
            seed=3,
            steps=600,
        ),
    )
}
