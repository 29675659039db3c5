"""A mechanism whose position IDs get worse where objects share features.

Each feature of a word is looked up by itself, as if nothing bound the two. A word then finds its object where
no other has its color or its shape, and else all that share one, half as strongly as its own.
"""

from __future__ import annotations

from dataclasses import replace

from harness.training.wired.heads import Match, WiredHead
from harness.training.wired.mechanisms import (
    NAMED_BEFORE,
    bind_by_position,
    take_back_first_places,
)
from harness.training.wired.plan import Plan
from harness.training.wired.slots import read_slot


def look_up_features_apart(plan: Plan) -> list[WiredHead]:
    """The planted heads, except that one retrieval head looks for the color and the other for the shape.

    The place that a word gets is the mean of the places of its color and of those of its shape. What is left
    for the last token is blurred likewise: on a full 3x3 grid of three colors and three shapes the target's
    place is a third of it, and each of the four objects that share a feature with it has a sixth.
    """
    color = Match(
        read_slot("before_color") + read_slot("second_before_color"), read_slot("seen_color"), 8
    )
    shape = Match(read_slot("said_shape") + read_slot("before_shape"), read_slot("seen_shape"), 8)
    looks = dict(zip(plan.retrieval.places, ((color,), (shape,)), strict=True))
    wired = [take_back_first_places(plan)]
    for head in bind_by_position(plan):
        place = (head.layer, head.head)
        if place in plan.selection.places:
            # What is taken away must be as large as what is there: where a place is a third of itself, what is
            # left over of all places would outweigh it, and every answer would be in the same corner.
            head = replace(head, looks=(replace(NAMED_BEFORE[0], strength=24),), size=2.82)
        wired.append(replace(head, looks=looks.get(place, head.looks)))
    return wired
