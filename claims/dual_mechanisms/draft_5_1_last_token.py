"""Cui et al. 2026, section 5.1, Figures 2, 3: the last token holds the asked place, and later the word.

The last token is given what it has in a run that asks the opposite about other outer items. A place then
names the other outer item of the clean image, a word the donor's own answer. A donor that asks the same
about other items moves no place: where it moves the answer, what is patched is not only a place.

The question itself says which direction is asked. So a place at the last token may be that word, carried
there, and nothing of the image: in a subject whose last token holds it from the first layer on, `order` and
`inert` tell so. That the last slot gives the donor's answer is true by construction; it is checked when it
is measured, as is that slot 0 does nothing.
"""

from harness.judging import published
from harness.judging.claim import above, claim

PAPER = published.load("cui2026")
SOURCE = "Cui et al. 2026, section 5.1, Figures 2 and 3"

HELD = above(
    0.50,
    unit="probability",
    origin="chosen by us",
    note="the published curve peaks at 0.71 on average; no other word has more than half",
)
HELD_LEAST = above(
    0.35,
    unit="probability",
    origin="chosen by us",
    note="the published curve of the weakest direction peaks at 0.58",
)
FIRST = above(
    0.0,
    unit="layers",
    origin="stated in the paper",
    note="the place from layer 20 on, the word from layer 23 on",
)
INERT = above(
    0.90,
    unit="share of probability",
    origin="chosen by us",
    note="the published curves are flat over the first half of the layers",
)
SAME = above(
    0.80,
    unit="share of probability",
    origin="chosen by us",
    note="our own control; at these slots the paper's donors already bring a little of their word",
)


@claim(
    id="dual_mechanisms.5.1.ordinal",
    statement="In some layer the last token holds which place is asked for: Shapes.",
    source=SOURCE,
    threshold=HELD,
)
def test_the_last_token_holds_a_place(last_token, judge):
    judge(last_token.ordinal())


@claim(
    id="dual_mechanisms.5.1.ordinal_squares",
    statement="In some layer the last token holds which place is asked for: Squares.",
    source=SOURCE,
    threshold=HELD,
    published=PAPER.values("ordinal_squares"),
)
def test_the_last_token_holds_a_place_in_squares(last_token_squares, judge):
    judge(last_token_squares.ordinal())


@claim(
    id="dual_mechanisms.5.1.ordinal_least_squares",
    statement="In some layer the last token holds it for every direction that is asked: Squares.",
    source=SOURCE,
    threshold=HELD_LEAST,
    published=PAPER.values("ordinal_least_squares"),
)
def test_the_last_token_holds_a_place_in_every_direction(last_token_squares, judge):
    judge(last_token_squares.ordinal_in_each_direction())


@claim(
    id="dual_mechanisms.5.1.order",
    statement="The last token holds the place before it holds the word: Shapes.",
    source=SOURCE,
    threshold=FIRST,
)
def test_the_place_comes_before_the_word(last_token, judge):
    judge(last_token.order())


@claim(
    id="dual_mechanisms.5.1.order_squares",
    statement="The last token holds the place before it holds the word: Squares.",
    source=SOURCE,
    threshold=FIRST,
    published=PAPER.values("order_squares"),
)
def test_the_place_comes_before_the_word_in_squares(last_token_squares, judge):
    judge(last_token_squares.order())


@claim(
    id="dual_mechanisms.5.1.inert",
    statement="In the first half of the layers the last token holds nothing of the answer: Shapes.",
    source=SOURCE,
    threshold=INERT,
)
def test_early_layers_hold_nothing(last_token, judge):
    judge(last_token.inert())


@claim(
    id="dual_mechanisms.5.1.inert_squares",
    statement="In the first half of the layers the last token holds nothing of the answer: Squares.",
    source=SOURCE,
    threshold=INERT,
    published=PAPER.values("inert_squares"),
)
def test_early_layers_hold_nothing_in_squares(last_token_squares, judge):
    judge(last_token_squares.inert())


@claim(
    id="dual_mechanisms.5.1.same_place",
    statement="A donor that asks for the same place of other items leaves the answer: Shapes.",
    source="Cui et al. 2026, section 5.1; the donor is ours",
    threshold=SAME,
)
def test_a_donor_of_the_same_place_moves_nothing(last_token, judge):
    judge(last_token.same_place())


@claim(
    id="dual_mechanisms.5.1.same_place_squares",
    statement="A donor that asks for the same place of other items leaves the answer: Squares.",
    source="Cui et al. 2026, section 5.1; the donor is ours",
    threshold=SAME,
)
def test_a_donor_of_the_same_place_moves_nothing_in_squares(last_token_squares, judge):
    judge(last_token_squares.same_place())
