"""Mechanisms that have everything but one thing: IDs that nothing uses, that are not selected, or that hold content.

Each does the task, so that a claim which is refuted there is refuted for what is missing.
"""

from __future__ import annotations

from dataclasses import replace

from harness.training.wired.heads import Match, WiredHead
from harness.training.wired.mechanisms import bind_by_position, exclude_by_content
from harness.training.wired.plan import Plan, Stage
from harness.training.wired.slots import read_slot


def leave_ids_idle(plan: Plan) -> list[WiredHead]:
    """Heads that answer by content in early layers, and heads that then write the IDs of `planted` for nothing.

    What answers is read off the dimensions of the answer alone, and no head looks at a place.
    """
    first = replace(plan, selection=Stage(plan.features.layer - 1, plan.selection.heads))
    what = {
        **dict.fromkeys(plan.retrieval.places, "places of named objects, which nothing uses"),
        **dict.fromkeys(plan.selection.places, "places of the others, taken away for nothing"),
    }
    placed = [
        replace(head, what=what.get((head.layer, head.head), head.what))
        for head in bind_by_position(plan)
        if head.layer != plan.features.layer
    ]
    collect = [h for h in exclude_by_content(first) if h.layer > 0]
    return [
        *placed,
        *(
            replace(h, size=h.size * IDLE_SIZE) if h.layer == plan.features.layer else h
            for h in collect
        ),
    ]


IDLE_SIZE = 0.15


def retrieve_without_selecting(plan: Plan) -> list[WiredHead]:
    """Heads by which a word looks up its object's place and what is there, and the last token what was not.

    The last token collects the features that the words found, and looks at what has none of them: no place
    gets there.
    """
    stay = replace(plan, selection=plan.selection)
    placed = [
        head
        for head in bind_by_position(stay)
        if head.layer not in (plan.selection.layer, plan.features.layer)
    ]
    there = Match(read_slot("retrieved_place"), read_slot("seen_place"), 25)
    fetch = (
        (read_slot("seen_color"), read_slot("named_color")),
        (read_slot("seen_shape"), read_slot("named_shape")),
    )
    collect = tuple((write, write) for _, write in fetch)
    content = [
        replace(head, brings=collect) if (head.layer, head.head) in plan.selection.places else head
        for head in exclude_by_content(plan)
        if head.layer > 0
    ]
    return [
        *placed,
        WiredHead(
            plan.retrieval.layer + 1,
            0,
            looks=(there,),
            brings=fetch,
            size=3,
            rest=3,
            what="what stands at the place that a word looked up",
        ),
        *content,
    ]


def tie_ids_to_content(plan: Plan) -> list[WiredHead]:
    """The planted heads, for a projector that turns the place of every object by its color (`turned.py`).

    All stages work in each image. But an object of another color has another ID at the same place, and over
    all colors the IDs of a place average to nothing.
    """
    return bind_by_position(plan)
