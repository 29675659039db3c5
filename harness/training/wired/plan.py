"""A control that is planned: its mechanism, in which heads, and how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

import numpy as np
import torch

from harness.training.architectures import HEADS, LAYERS, Untrained
from harness.training.wired import heads as wiring
from harness.training.wired.families import LLAVA, Family
from harness.training.wired.heads import WiredHead
from harness.training.wired.slots import WIDTH, at, embedding, unembedding
from harness.training.wired.turned import turn_seen_places

Place = tuple[int, int]
"""Layer and head."""

IDLE = 0.003
"""Size of the weights that nothing is wired to."""


@dataclass(frozen=True)
class Stage:
    """The heads of one stage, all in one layer."""

    layer: int
    heads: tuple[int, int]

    @property
    def places(self) -> list[Place]:
        """(layer, head) of each head."""
        return [(self.layer, head) for head in self.heads]


class Truth(TypedDict):
    """What is planted in a control, as truth.json holds it.

    Attributes:
        subject: Name of the control.
        heads: (layer, head) pairs of each stage; empty where a stage is absent.
        others: (layer, head) pairs of the other wired heads, by what they do.
        places: What selected places are relative to: "relative" to the group of objects, "absolute" to the
            image; None if no place is selected.
        size: Number of layers, and of heads per layer.
        ordering: Who makes the order of a row, if the mechanism knows one: "vision", "language" or "both".
    """

    subject: str
    heads: dict[str, list[Place]]
    others: dict[str, list[Place]]
    places: Literal["relative", "absolute"] | None
    size: dict[str, int]
    ordering: NotRequired[str]


@dataclass(frozen=True)
class Plan:
    """A control to build.

    Attributes:
        name: Name of the subject.
        mechanism: Function from the plan to its heads.
        retrieval: Heads of ID retrieval, at the words that name an object.
        selection: Heads of ID selection, at the last token.
        features: Heads of feature retrieval, at the last token.
        relative: Whether places are relative to the group of objects, or else to the image.
        family: What the architecture has of its own.
        turned: Whether the color of an object turns the code of its place, so that IDs are not free of content.
        holds: Word, slot and entry of it where the embedding of a word holds 1 beside what it always holds.
        seed: Seed of everything that is random.
    """

    name: str
    mechanism: Callable[[Plan], list[WiredHead]]
    retrieval: Stage = Stage(2, (0, 1))
    selection: Stage = Stage(4, (2, 3))
    features: Stage = Stage(6, (4, 5))
    relative: bool = True
    family: Family = LLAVA
    turned: bool = False
    holds: tuple[tuple[str, str, int], ...] = ()
    seed: int = 0

    def build(self) -> Untrained:
        """Build the subject on the CPU in float32, the same every time."""
        torch.manual_seed(self.seed)
        subject = self.family.build()
        rng = np.random.default_rng(self.seed)
        language = subject.model.model.language_model
        with torch.no_grad():
            for weight, rows in (
                (language.embed_tokens.weight, embedding(subject.tokenizer, rng)),
                (subject.model.lm_head.weight, unembedding(subject.tokenizer, 1.5, rng)),
            ):
                weight.zero_()
                weight[:, :WIDTH] = rows
            for word, slot, entry in self.holds:
                token = subject.tokenizer.convert_tokens_to_ids(word)
                language.embed_tokens.weight[token, at(slot).start + entry] = 1
            wiring.undo_width(language.norm.weight)
        heads = self.mechanism(self)
        wiring.install(language.layers, heads, IDLE, self.seed)
        self.family.write_norms(subject, heads)
        self.family.write_sight(subject, relative=self.relative, seed=self.seed)
        if self.turned:
            turn_seen_places(subject)
        return subject

    def truth(self) -> Truth:
        """What is planted, for truth.json."""
        has = STAGES[self.mechanism.__name__]
        stages = {
            "id_retrieval": self.retrieval,
            "id_selection": self.selection,
            "feature_retrieval": self.features,
        }
        truth: Truth = {
            "subject": self.name,
            "heads": {name: stage.places if name in has else [] for name, stage in stages.items()},
            "others": self.others(),
            "places": ("relative" if self.relative else "absolute")
            if "id_selection" in has
            else None,
            "size": {"layers": LAYERS, "heads": HEADS},
        }
        if ordering := ORDERINGS.get(self.mechanism.__name__):
            truth["ordering"] = ordering
        return truth

    def others(self) -> dict[str, list[Place]]:
        """The heads outside the stages, by what they do.

        They hold the same on both sides of the paper's contrasts, so that patching one changes nothing.
        """
        found: dict[str, list[Place]] = {}
        for head in self.mechanism(self):
            if head.what:
                found.setdefault(head.what, []).append((head.layer, head.head))
        return found


STAGES = {
    "bind_by_position": ("id_retrieval", "id_selection", "feature_retrieval"),
    "exclude_by_content": ("feature_retrieval",),
    "see_without_binding": (),
    "leave_ids_idle": ("feature_retrieval",),
    "retrieve_without_selecting": ("id_retrieval", "feature_retrieval"),
    "tie_ids_to_content": ("id_retrieval", "id_selection", "feature_retrieval"),
    "look_up_features_apart": ("id_retrieval", "id_selection", "feature_retrieval"),
    "read_vision_ordering": (),
    "build_ordering": (),
    "back_up_ordering": (),
}
"""The stages of each mechanism."""

ORDERINGS = {
    "read_vision_ordering": "vision",
    "build_ordering": "language",
    "back_up_ordering": "both",
}
"""Who makes the order of a row, in mechanisms that know one."""
