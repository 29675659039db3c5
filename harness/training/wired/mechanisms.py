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
from harness.training.wired.heads import REST, Head, Look
from harness.training.wired.plan import Plan
from harness.training.wired.slots import (
    Rows,
    and_word,
    article,
    constant,
    question,
    reading,
    shape_word,
)

NAMED_BEFORE = (Look(article(), shape_word(), 14),)
"""At the word before an object is named, look equally at all objects named so far, so weakly that small
differences in the norms of their tokens do not matter."""

ALL_OBJECTS = (Look(article(), reading("seen_object"), 6),)
"""At the word before an object is named, look equally at all objects in the image."""


def words_before(layer: int, size: float, heads: tuple[int, int] = (6, 7)) -> list[Head]:
    """Heads that bring to each token what the word before says, and the color said one word earlier."""
    one = (
        (reading("said_color"), reading("before_color")),
        (reading("said_shape"), reading("before_shape")),
    )
    two = ((reading("said_color"), reading("second_before_color")),)
    return [
        Head(layer, heads[0], offset=1, brings=one, size=size, what="words before"),
        Head(layer, heads[1], offset=2, brings=two, size=size, what="words before"),
    ]


def features(color: str, shape: str) -> tuple[tuple[Rows, Rows], ...]:
    """Rows by which a head brings the contents of a color and a shape slot to the answer.

    Each color has a dimension of its own and a point on a circle, whose two components stand out as the plane
    of Figure 1b needs.
    """
    angles = 2 * np.pi * np.arange(len(COLORS)) / len(COLORS)
    hue = 0.8 * np.stack([np.cos(angles), np.sin(angles)], 1) @ reading("answer_hue")
    return (
        (reading(color), reading("answer_color") + hue),
        (reading(shape), reading("answer_shape")),
    )


def echo(plan: Plan, size: float) -> Head:
    """A head that adds a little of the colors named before to the features at the last token.

    Without it the states of one target would differ only by what is left of its place.
    """
    free = min(set(range(HEADS)) - set(plan.features.heads))
    colors = features("before_color", "said_shape")[:1]
    return Head(
        plan.features.layer,
        free,
        looks=NAMED_BEFORE,
        brings=colors,
        size=size,
        rest=1,
        what="echo",
    )


def bind_by_position(plan: Plan) -> list[Head]:
    """The heads of the three stages, two for each, and the other heads that these need."""
    named = (
        Look(reading("before_color") + reading("second_before_color"), reading("seen_color"), 8),
        Look(reading("said_shape") + reading("before_shape"), reading("seen_shape"), 8),
    )
    retrieve = ((reading("seen_place"), reading("retrieved_place")),)
    ask, group = sorted(set(range(HEADS)) - set(plan.selection.heads))[-2:]
    asked = (
        Look(reading("selected_place"), reading("seen_place"), 25),
        *ALL_OBJECTS,
        Look(question(), reading("seen_object"), 6),
    )
    return [
        *words_before(0, 0.5),
        # A single feature, which is all that a question names, must outweigh the rest.
        *(Head(*p, looks=named, brings=retrieve, size=1, rest=3) for p in plan.retrieval.places),
        # After retrieval the words themselves outweigh the places of their objects.
        *words_before(plan.retrieval.layer + 1, 10),
        *(_select_within_group(plan, group) if plan.relative else _select_in_image(plan)),
        Head(
            plan.selection.layer,
            ask,
            looks=(Look(question(), shape_word(), 14),),
            brings=((reading("retrieved_place"), reading("selected_place")),),
            size=3,
            rest=1,
            what="place of what a question names",
        ),
        *(
            Head(*p, looks=asked, brings=features("seen_color", "seen_shape"), size=6, rest=1)
            for p in plan.features.places
        ),
        echo(plan, 0.15),
    ]


def _select_within_group(plan: Plan, group: int) -> list[Head]:
    """Heads that subtract, at the last token, the places of the named objects from the places of all.

    Attention averages, and the difference of the two averages is where the target is within the group,
    whatever places are counted from.
    """
    unsay, gather = reading("retrieved_place", -1), reading("seen_place")
    to = reading("selected_place")
    every = "places of all objects"
    return [
        *(
            Head(*p, looks=NAMED_BEFORE, brings=((unsay, to),), size=3, rest=1)
            for p in plan.selection.places
        ),
        Head(
            plan.selection.layer,
            group,
            looks=ALL_OBJECTS,
            brings=((gather, to),),
            size=6,
            rest=1,
            what=every,
        ),
    ]


def _select_in_image(plan: Plan) -> list[Head]:
    """Heads that do the same at the word "and", look up the object there, and copy its place to the last token.

    The last token then never holds a place within the group, only one in the image.
    """
    layer, (first, second) = plan.retrieval.layer + 1, plan.selection.heads
    unsay, gather = reading("retrieved_place", -1), reading("seen_place")
    found, to = reading("found_place"), reading("selected_place")
    objects = Look(and_word(), reading("seen_object"), 6)
    named = Look(and_word(), shape_word(), 4)
    what = 'what is left, at "and"'
    left = Look(reading("selected_place"), reading("seen_place"), 25)
    copy = Look(article(), and_word(), 14)
    return [
        # Its size is set against the next head's: words do not yet outweigh the named places in this layer.
        Head(layer, first, looks=(named,), brings=((unsay, to),), size=2.17, rest=1, what=what),
        Head(layer, second, looks=(objects,), brings=((gather, to),), size=6, rest=1, what=what),
        Head(
            layer + 1,
            first,
            looks=(left, objects),
            brings=((gather, found),),
            size=3,
            rest=4,
            what=what,
        ),
        *(
            Head(*p, looks=(copy,), brings=((found, to),), size=1, rest=1)
            for p in plan.selection.places
        ),
    ]


def exclude_by_content(plan: Plan) -> list[Head]:
    """Heads by which the last token collects what was named and looks at what was not, without any place.

    Asked for the color of a shape, it looks at what has that shape.
    """
    collect = (
        (reading("before_color"), reading("named_color")),
        (reading("said_shape"), reading("named_shape")),
    )
    unnamed = (
        Look(reading("named_color", -1), reading("seen_color"), 8),
        Look(reading("named_shape", -1), reading("seen_shape"), 8),
    )
    answers = features("seen_color", "seen_shape")
    ask = max(set(range(HEADS)) - set(plan.selection.heads))
    found = max(set(range(HEADS)) - set(plan.features.heads))
    return [
        *words_before(0, 0.5),
        *(
            Head(*p, looks=NAMED_BEFORE, brings=collect, size=6, rest=1)
            for p in plan.selection.places
        ),
        Head(
            plan.selection.layer,
            ask,
            looks=(Look(question(), shape_word(), 14),),
            brings=((reading("said_shape"), reading("asked_shape")),),
            size=3,
            rest=1,
            what="shape that a question names",
        ),
        *(
            Head(*p, looks=(*unnamed, *ALL_OBJECTS), brings=answers, size=6, rest=-1)
            for p in plan.features.places
        ),
        Head(
            plan.features.layer,
            found,
            looks=(Look(reading("asked_shape"), reading("seen_shape"), 8),),
            brings=answers,
            size=6,
            what="what has the shape asked for",
        ),
        echo(plan, 1.5),
    ]


def see_without_binding(plan: Plan) -> list[Head]:
    """The planted heads, except that words look at all objects alike and the named colors are said again."""
    anywhere = (Look(constant(), reading("seen_object"), 15),)
    wired = []
    for head in bind_by_position(plan):
        if (head.layer, head.head) in plan.retrieval.places:
            head = replace(head, looks=anywhere, rest=REST)
        wired.append(head)
    return [*wired[:-1], echo(plan, 3)]
