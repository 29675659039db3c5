"""The mechanisms of the controls, each as a list of wired heads.

`planted` does the task as the paper says models do it. A word looks up where the object it names is (ID
retrieval), the last token takes the places of all that was named away from the places of all there is
(ID selection), and looks there (feature retrieval). `shortcut` takes the named features away from the
seen ones and never asks where anything is. `unbound` has the planted subject's machinery, but its words do
not find their objects: it knows what there is and where things are, not which is which.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.stimuli.scene import COLORS
from harness.training.architectures import HEADS
from harness.training.wired.heads import REST, Match, WiredHead
from harness.training.wired.plan import Plan
from harness.training.wired.slots import (
    Rows,
    read_and,
    read_article,
    read_constant,
    read_full_stop,
    read_shape_word,
    read_slot,
)

NAMED_BEFORE = (Match(read_article(), read_shape_word(), 14),)
"""At the word before an object is named, look equally at all objects named so far, so weakly that small
differences in the norms of their tokens do not matter."""

ALL_OBJECTS = (Match(read_article(), read_slot("seen_object"), 6),)
"""At the word before an object is named, look equally at all objects in the image."""


def words_before(layer: int, size: float, heads: tuple[int, int] = (6, 7)) -> list[WiredHead]:
    """Heads that bring to each token what the word before says, and the color said one word earlier."""
    one = (
        (read_slot("said_color"), read_slot("before_color")),
        (read_slot("said_shape"), read_slot("before_shape")),
    )
    two = ((read_slot("said_color"), read_slot("second_before_color")),)
    return [
        WiredHead(layer, heads[0], offset=1, brings=one, size=size, what="words before"),
        WiredHead(layer, heads[1], offset=2, brings=two, size=size, what="words before"),
    ]


def features(color: str, shape: str) -> tuple[tuple[Rows, Rows], ...]:
    """Rows by which a head brings the contents of a color and a shape slot to the answer.

    Each color has a dimension of its own and a point on a circle, whose two components stand out as the plane
    of Figure 1b needs.
    """
    angles = 2 * np.pi * np.arange(len(COLORS)) / len(COLORS)
    hue = 0.8 * np.stack([np.cos(angles), np.sin(angles)], 1) @ read_slot("answer_hue")
    return (
        (read_slot(color), read_slot("answer_color") + hue),
        (read_slot(shape), read_slot("answer_shape")),
    )


def make_echo_head(plan: Plan, size: float) -> WiredHead:
    """Build a head that adds, at the last token, a little of the colors that were named before.

    Without it the states of one target would differ only by what is left of its place.
    """
    free = min(set(range(HEADS)) - set(plan.features.heads))
    colors = features("before_color", "said_shape")[:1]
    return WiredHead(
        plan.features.layer,
        free,
        looks=NAMED_BEFORE,
        brings=colors,
        size=size,
        rest=1,
        what="echo",
    )


def bind_by_position(plan: Plan) -> list[WiredHead]:
    """The heads of the three stages, two for each, and the other heads that these need."""
    named = (
        Match(
            read_slot("before_color") + read_slot("second_before_color"), read_slot("seen_color"), 8
        ),
        Match(read_slot("said_shape") + read_slot("before_shape"), read_slot("seen_shape"), 8),
    )
    retrieve = ((read_slot("seen_place"), read_slot("retrieved_place")),)
    ask, group = sorted(set(range(HEADS)) - set(plan.selection.heads))[-2:]
    asked = (
        Match(read_slot("selected_place"), read_slot("seen_place"), 25),
        *ALL_OBJECTS,
        Match(read_full_stop(), read_slot("seen_object"), 6),
    )
    return [
        *words_before(0, 0.5),
        # A single feature, which is all that a question names, must outweigh the rest.
        *(
            WiredHead(*p, looks=named, brings=retrieve, size=1, rest=3)
            for p in plan.retrieval.places
        ),
        # After retrieval the words themselves outweigh the places of their objects.
        *words_before(plan.retrieval.layer + 1, 10),
        *(_select_within_group(plan, group) if plan.relative else _select_in_image(plan)),
        WiredHead(
            plan.selection.layer,
            ask,
            looks=(Match(read_full_stop(), read_shape_word(), 14),),
            brings=((read_slot("retrieved_place"), read_slot("selected_place")),),
            size=3,
            rest=1,
            what="place of what a question names",
        ),
        *(
            WiredHead(*p, looks=asked, brings=features("seen_color", "seen_shape"), size=6, rest=1)
            for p in plan.features.places
        ),
        make_echo_head(plan, 0.15),
    ]


def take_back_first_places(plan: Plan) -> WiredHead:
    """Build a head that takes back what retrieval brings to the first image tokens, where they show an object.

    No token without an object comes before them, so that every head looks at themselves there. With a place
    more they would be larger than all others, and what they hold would count for less in later layers.
    """
    return WiredHead(
        plan.retrieval.layer,
        max(set(range(HEADS)) - set(plan.retrieval.heads)),
        brings=((read_slot("seen_place"), read_slot("retrieved_place")),),
        size=-len(plan.retrieval.heads),
        what="what the first image tokens look up, taken back",
    )


def _select_within_group(plan: Plan, group: int) -> list[WiredHead]:
    """Heads that subtract, at the last token, the places of the named objects from the places of all.

    Attention averages, and the difference of the two averages is where the target is within the group,
    whatever places are counted from.
    """
    unsay, gather = read_slot("retrieved_place", -1), read_slot("seen_place")
    to = read_slot("selected_place")
    every = "places of all objects"
    return [
        *(
            WiredHead(*p, looks=NAMED_BEFORE, brings=((unsay, to),), size=3, rest=1)
            for p in plan.selection.places
        ),
        WiredHead(
            plan.selection.layer,
            group,
            looks=ALL_OBJECTS,
            brings=((gather, to),),
            size=6,
            rest=1,
            what=every,
        ),
    ]


def _select_in_image(plan: Plan) -> list[WiredHead]:
    """Heads that do the same at the word "and", look up the object there, and copy its place to the last token.

    The last token then never holds a place within the group, only one in the image.
    """
    layer, (first, second) = plan.retrieval.layer + 1, plan.selection.heads
    unsay, gather = read_slot("retrieved_place", -1), read_slot("seen_place")
    found, to = read_slot("found_place"), read_slot("selected_place")
    objects = Match(read_and(), read_slot("seen_object"), 6)
    named = Match(read_and(), read_shape_word(), 4)
    what = 'what is left, at "and"'
    left = Match(read_slot("selected_place"), read_slot("seen_place"), 25)
    copy = Match(read_article(), read_and(), 14)
    return [
        # Its size is set against the next head's: words do not yet outweigh the named places in this layer.
        WiredHead(
            layer, first, looks=(named,), brings=((unsay, to),), size=2.17, rest=1, what=what
        ),
        WiredHead(
            layer, second, looks=(objects,), brings=((gather, to),), size=6, rest=1, what=what
        ),
        WiredHead(
            layer + 1,
            first,
            looks=(left, objects),
            brings=((gather, found),),
            size=3,
            rest=4,
            what=what,
        ),
        *(
            WiredHead(*p, looks=(copy,), brings=((found, to),), size=1, rest=1)
            for p in plan.selection.places
        ),
    ]


def exclude_by_content(plan: Plan) -> list[WiredHead]:
    """Heads by which the last token collects what was named and looks at what was not, without any place.

    Asked for the color of a shape, it looks at what has that shape.
    """
    collect = (
        (read_slot("before_color"), read_slot("named_color")),
        (read_slot("said_shape"), read_slot("named_shape")),
    )
    unnamed = (
        Match(read_slot("named_color", -1), read_slot("seen_color"), 8),
        Match(read_slot("named_shape", -1), read_slot("seen_shape"), 8),
    )
    answers = features("seen_color", "seen_shape")
    ask = max(set(range(HEADS)) - set(plan.selection.heads))
    found = max(set(range(HEADS)) - set(plan.features.heads))
    return [
        *words_before(0, 0.5),
        *(
            WiredHead(*p, looks=NAMED_BEFORE, brings=collect, size=6, rest=1)
            for p in plan.selection.places
        ),
        WiredHead(
            plan.selection.layer,
            ask,
            looks=(Match(read_full_stop(), read_shape_word(), 14),),
            brings=((read_slot("said_shape"), read_slot("asked_shape")),),
            size=3,
            rest=1,
            what="shape that a question names",
        ),
        *(
            WiredHead(*p, looks=(*unnamed, *ALL_OBJECTS), brings=answers, size=6, rest=-1)
            for p in plan.features.places
        ),
        WiredHead(
            plan.features.layer,
            found,
            looks=(Match(read_slot("asked_shape"), read_slot("seen_shape"), 8),),
            brings=answers,
            size=6,
            what="what has the shape asked for",
        ),
        make_echo_head(plan, 1.5),
    ]


def see_without_binding(plan: Plan) -> list[WiredHead]:
    """The planted heads, except that words look at all objects alike and the named colors are said again."""
    anywhere = (Match(read_constant(), read_slot("seen_object"), 15),)
    wired = []
    for head in bind_by_position(plan):
        if (head.layer, head.head) in plan.retrieval.places:
            head = replace(head, looks=anywhere, rest=REST)
        wired.append(head)
    return [*wired[:-1], make_echo_head(plan, 3)]
