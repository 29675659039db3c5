"""Cui et al. 2026, section 5.3.1, Table 5: without vision's ordering, answers are worse but not lost.

Every item's tokens are replaced by those of the item alone in the middle, all others by those of an empty
image. What falls was owed to vision; what stays, the decoder makes of where tokens stand.

The paper calls one third chance. But the question names the middle item, so that a guess between the other
two is right half of the time: both are asked, and only the second tells that anything of the order is left.
Items are still what they were if the color of a shape, asked without any direction, is told as before.
"""

from harness.judging import published
from harness.judging.claim import above, claim

PAPER = published.load("cui2026")
SOURCE = "Cui et al. 2026, section 5.3.1, Table 5"
SOLIDS = "Cui et al. 2026, section 5.3.1 (Objects); solids stand in for its photographs"
HALF = "Cui et al. 2026, section 5.3.1; the chance of one half is ours"

FALLS = above(
    0.25,
    unit="difference of shares",
    origin="chosen by us",
    note="the least published fall is 0.35",
)
THIRD = above(
    1 / 3,
    unit="share of answers",
    origin="stated in the paper",
    note="chance among three items",
)
ONE_HALF = above(
    0.50,
    unit="share of answers",
    origin="chosen by us",
    note="chance among the two items that are not named",
)
KEPT = above(
    0.90,
    unit="share of answers",
    origin="chosen by us",
    note="what is not told apart any more cannot be ordered; 45 scenes that are all right can tell 0.92",
)


@claim(
    id="dual_mechanisms.5.3.drop",
    statement="Without vision's ordering far fewer answers are right: Shapes.",
    source=SOURCE,
    threshold=FALLS,
    published=PAPER.values("drop_shapes"),
)
def test_answers_need_the_ordering(removal, judge):
    judge(removal.drop())


@claim(
    id="dual_mechanisms.5.3.drop_squares",
    statement="Without vision's ordering far fewer answers are right: Squares.",
    source=SOURCE,
    threshold=FALLS,
    published=PAPER.values("drop_squares"),
)
def test_answers_need_the_ordering_in_squares(removal_squares, judge):
    judge(removal_squares.drop())


@claim(
    id="dual_mechanisms.5.3.drop_solids",
    statement="Without vision's ordering far fewer answers are right: solids on textured ground.",
    source=SOLIDS,
    threshold=FALLS,
)
def test_answers_need_the_ordering_in_solids(removal_solids, judge):
    judge(removal_solids.drop())


@claim(
    id="dual_mechanisms.5.3.left_third",
    statement="Without it more answers are right than one in three: Shapes.",
    source=SOURCE,
    threshold=THIRD,
    published=PAPER.values("left_shapes"),
)
def test_more_is_left_than_a_third(removal, judge):
    judge(removal.left())


@claim(
    id="dual_mechanisms.5.3.left_third_squares",
    statement="Without it more answers are right than one in three: Squares.",
    source=SOURCE,
    threshold=THIRD,
    published=PAPER.values("left_squares"),
)
def test_more_is_left_than_a_third_in_squares(removal_squares, judge):
    judge(removal_squares.left())


@claim(
    id="dual_mechanisms.5.3.left_half",
    statement="Without it more answers are right than a guess between two items gives: Shapes.",
    source=HALF,
    threshold=ONE_HALF,
    published=PAPER.values("left_shapes"),
)
def test_more_is_left_than_a_half(removal, judge):
    judge(removal.left())


@claim(
    id="dual_mechanisms.5.3.left_half_squares",
    statement="Without it more answers are right than a guess between two items gives: Squares.",
    source=HALF,
    threshold=ONE_HALF,
    published=PAPER.values("left_squares"),
)
def test_more_is_left_than_a_half_in_squares(removal_squares, judge):
    judge(removal_squares.left())


@claim(
    id="dual_mechanisms.5.3.left_half_solids",
    statement="Without it more answers are right than a guess between two items gives: solids.",
    source=SOLIDS,
    threshold=ONE_HALF,
)
def test_more_is_left_than_a_half_in_solids(removal_solids, judge):
    judge(removal_solids.left())


@claim(
    id="dual_mechanisms.5.3.named",
    statement="Without it the color of a shape is still told: Shapes.",
    source="Cui et al. 2026, section 5.3.1; the question is ours",
    threshold=KEPT,
)
def test_items_are_still_what_they_were(removal, judge):
    judge(removal.named())
