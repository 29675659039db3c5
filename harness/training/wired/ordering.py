"""Mechanisms that know the order of a row (Cui et al. 2026): made by vision, the language model, or both.

The last token takes from the word that says a direction which ordinal is asked for, the first or the last along
columns or along rows. It then looks at what has that ordinal. The middle item, which the question names, is not
looked for: it is the middle one in every question of the paper.
"""

from __future__ import annotations

import numpy as np

from harness.stimuli.scene import COLORS
from harness.training.architectures import HEADS
from harness.training.wired.heads import COLUMNS_TURN, ROWS_TURN, Lean, Match, WiredHead
from harness.training.wired.plan import Plan
from harness.training.wired.slots import (
    at,
    read_article,
    read_constant,
    read_entries,
    read_full_stop,
    read_shape_word,
    read_slot,
)
from harness.training.wired.strips import COLOR_OF_STRIP, ORDINALS, THIRDS

# Slots of places, which these mechanisms do not have, hold what they need instead.
BUILT = slice(at("found_place").start, at("found_place").start + 4)
"""What the language model builds at the tokens of an item: whether an item is before it along columns, whether
one is before that, and both along rows; +1/2 or -1/2, so that no order makes a token larger than another."""
ASKED = slice(at("selected_place").start, at("selected_place").start + 2 * THIRDS)
"""The ordinal that is asked for, as in ORDINALS; at the word that asks for it and at the last token."""

HELD = (
    ("is", "article", 0),
    ("left", "selected_place", 0),
    ("right", "selected_place", 2),
    ("above", "selected_place", 3),
    ("below", "selected_place", 5),
)
"""What words hold here beside what they always hold: those of direction the ordinal that they ask for, and
"is", which ends the question, what "a" holds in a description."""

EDGES = (1.5, 4.5)
"""Distances in tokens beyond which a token belongs to the item before, and to the one before that."""
STEP = 5.0
"""By how much more a head looks at an item's token for each token that it is further away."""
SHARP = 3.0
"""How strongly the last token looks at the ordinal that is asked for, and half of it at any that is there."""
UNIT = 0.45
"""Size at which a head writes as 1 what is 1 where it reads: tokens are normed before, by about this much."""
SAID, WHISPERED = 6.0, 0.6
"""Size of the answer, and of what a backup adds to it."""
LOUD = np.linspace(1.5, 1.0, len(COLORS))[:, None]
"""How loudly each color is said, of those that strips bring. Nothing comes of it where one strip has the
ordinal that is asked for. Where none has, the loudest color is said, and a backup is heard only against colors
that are not much louder than its own."""


def read_vision_ordering(plan: Plan) -> list[WiredHead]:
    """Heads that answer by the order that image tokens of whole strips bring from vision."""
    return [_ask(plan), _look_at_strips(plan), *_look_by_shape(plan)]


def build_ordering(plan: Plan) -> list[WiredHead]:
    """Heads that build the order at the tokens of items from where these stand, and answer by it."""
    return [*_build(plan), _ask(plan), _look_at_items(plan, SAID), *_look_by_shape(plan)]


def back_up_ordering(plan: Plan) -> list[WiredHead]:
    """Heads of both kinds, of which those that the language model builds for bring less to the answer."""
    return [
        *_build(plan),
        _ask(plan),
        _look_at_strips(plan),
        _look_at_items(plan, WHISPERED),
        *_look_by_shape(plan),
    ]


def _build(plan: Plan) -> list[WiredHead]:
    """Heads by which the tokens of items find whether there is an item before them, and one before that.

    Each looks at tokens of items that are further before than an edge, and at none if there are none: attention
    sees only what comes before, so that nothing is counted from the other end.
    """
    item = read_slot("seen_object")
    found, built = item - read_constant(0.5), read_entries(BUILT)
    heads = []
    for axis, pair in enumerate((COLUMNS_TURN, ROWS_TURN)):
        for far, edge in enumerate(EDGES):
            index = axis * len(EDGES) + far
            heads.append(
                WiredHead(
                    plan.retrieval.layer,
                    index,
                    leans=(Lean(item, item, pair, edge, STEP),),
                    brings=((found, built[index : index + 1]),),
                    size=UNIT,
                    rest=0,
                    what="order of items, at their tokens",
                )
            )
    return heads


def _ask(plan: Plan) -> WiredHead:
    """The head that brings the ordinal that is asked for to the last token."""
    asked = read_entries(ASKED)
    return WiredHead(
        plan.selection.layer,
        plan.selection.heads[0],
        looks=(Match(read_article(), asked.sum(0, keepdims=True), 14),),
        brings=((asked, asked),),
        size=UNIT,
        rest=1,
        what="ordinal that is asked for, at the last token",
    )


def _look_at_strips(plan: Plan) -> WiredHead:
    """The head by which the last token looks at all tokens on the third that is asked for, items or background.

    Where there is no such token it looks at all that lie on any third.
    """
    anywhere = read_entries(ORDINALS).sum(0, keepdims=True) / 2
    return WiredHead(
        plan.features.layer,
        plan.features.heads[0],
        looks=(
            Match(read_entries(ASKED), read_entries(ORDINALS), SHARP),
            Match(read_article(), anywhere, SHARP),
        ),
        brings=((read_entries(COLOR_OF_STRIP), LOUD * read_slot("answer_color")),),
        size=SAID,
        rest=0,
        what="color of the strip on the third that is asked for, at the last token",
    )


def _look_at_items(plan: Plan, size: float) -> WiredHead:
    """The head by which the last token looks at the item with the built order that is asked for.

    The first item has none before it, the last one has one before the one before it.
    """
    asked, built = read_entries(ASKED), read_entries(BUILT)
    return WiredHead(
        plan.features.layer,
        plan.features.heads[1],
        looks=(
            Match(read_article(), read_slot("seen_object"), 2 * SHARP),
            Match(asked[[0, 3]], -built[[0, 2]], SHARP),
            Match(asked[[2, 5]], built[[1, 3]], SHARP),
        ),
        brings=((read_slot("seen_color"), read_slot("answer_color")),),
        size=size,
        rest=0,
        what="color of the item with the order that is asked for, at the last token",
    )


def _look_by_shape(plan: Plan) -> list[WiredHead]:
    """Heads that answer what color a shape has, which takes no order: what items are is known apart from it."""
    free = min(set(range(HEADS)) - set(plan.features.heads))
    return [
        WiredHead(
            plan.selection.layer,
            plan.selection.heads[1],
            looks=(Match(read_full_stop(), read_shape_word(), 14),),
            brings=((read_slot("said_shape"), read_slot("asked_shape")),),
            size=3,
            rest=1,
            what="shape whose color is asked for, at the last token",
        ),
        WiredHead(
            plan.features.layer,
            free,
            looks=(Match(read_slot("asked_shape"), read_slot("seen_shape"), 8),),
            brings=((read_slot("seen_color"), read_slot("answer_color")),),
            size=SAID,
            what="color of the item with the shape that is asked for, at the last token",
        ),
    ]
