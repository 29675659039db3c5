"""Mechanisms that lack one thing: IDs that nothing uses, that are not selected, or that hold content.

Each does the task, so that a claim which is refuted there is refuted for what is missing.
"""

from __future__ import annotations

from dataclasses import replace

from harness.stimuli.scene import COLORS, SHAPES
from harness.training.wired.heads import Match, WiredHead
from harness.training.wired.mechanisms import ALL_OBJECTS, bind_by_position, exclude_by_content
from harness.training.wired.plan import Plan, Stage
from harness.training.wired.slots import read_slot

QUIET = 0.06
"""Size of what the content route beside idle IDs writes, as a share of `shortcut`'s: less than a place."""


def leave_ids_idle(plan: Plan) -> list[WiredHead]:
    """Heads that answer by content in early layers, and heads that then write the IDs of `planted` for nothing.

    What answers is read off the dimensions of the answer alone, and no head looks at a place that was selected.
    """
    early = replace(plan, selection=Stage(plan.features.layer - 1, plan.selection.heads))
    what = {
        **dict.fromkeys(plan.retrieval.places, "places of named objects, which nothing uses"),
        **dict.fromkeys(plan.selection.places, "places of the others, taken away for nothing"),
    }
    placed = [
        replace(head, what=what.get((head.layer, head.head), head.what))
        for head in bind_by_position(plan)
        if head.layer != plan.features.layer
    ]
    content = []
    for head in exclude_by_content(early):
        if head.layer == early.selection.layer:
            head = replace(head, size=QUIET * head.size)
        elif head.layer == plan.features.layer:
            looks = tuple(
                look if look is ALL_OBJECTS[0] else replace(look, strength=look.strength / QUIET)
                for look in head.looks
            )
            # Early answers must not be written at other words, which would then fetch other places.
            head = replace(head, looks=looks, size=QUIET * head.size, rest=max(head.rest, 3))
        if head.layer > 0:
            content.append(head)
    return [*placed, *content]


def retrieve_without_selecting(plan: Plan) -> list[WiredHead]:
    """Heads by which a word looks up its object's place and what is there, and the last token what was not.

    The last token collects the features that the words found, and looks at what has none of them: no place
    gets there.
    """
    # Slots that no place fills here hold what a word found, apart from what the last token collects.
    color = read_slot("found_place")[: len(COLORS)]
    shape = read_slot("selected_place")[: len(SHAPES)]
    fetch = WiredHead(
        plan.retrieval.layer + 1,
        0,
        looks=(Match(read_slot("retrieved_place"), read_slot("seen_place"), 150),),
        brings=((read_slot("seen_color"), color), (read_slot("seen_shape"), shape)),
        size=0.4,
        rest=3,
        what="what stands at the place that a word looked up",
    )
    content = []
    for head in exclude_by_content(plan):
        if (head.layer, head.head) in plan.selection.places:
            collect = ((color, read_slot("named_color")), (shape, read_slot("named_shape")))
            head = replace(head, brings=collect, what="what the words found")
        if head.layer > 0:
            content.append(head)
    return [
        *(head for head in bind_by_position(plan) if head.layer <= plan.retrieval.layer),
        fetch,
        *content,
    ]


def tie_ids_to_content(plan: Plan) -> list[WiredHead]:
    """The planted heads, for a projector that turns the place of every object by its color (`turned.py`).

    All stages work in each image. But an object of another color has another ID at the same place, and over
    all colors the IDs of a place average to nothing.
    """
    return bind_by_position(plan)
