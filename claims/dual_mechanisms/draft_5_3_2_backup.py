"""Cui et al. 2026, section 5.3.2 and Figure 9: the decoder's middle layers order items where vision does not.

With the ordering removed from both runs, the outer items' tokens are exchanged as in section 5.2.2. At the
decoder's input that changes nothing by construction, since both hold the same vectors; it is checked when it
is measured. A rise in between says that the decoder had written an order of its own into the items' tokens.
A decoder that answers by where tokens stand, and writes nothing, is right without the ordering and shows no
rise.
"""

from harness.judging import published
from harness.judging.claim import above, below, claim

PAPER = published.load("cui2026")
SOURCE = "Cui et al. 2026, section 5.3.2, Figure 9"

FLIPS = above(
    0.0,
    unit="difference of probabilities",
    origin="stated in the paper",
    note="in a run of a ninth of the layers, three of 28",
)
RISES = above(
    0.10,
    unit="difference of probabilities",
    origin="chosen by us",
    note="the published rises are 0.22 to 0.45",
)
FLAT = below(
    0.10,
    unit="difference of probabilities",
    origin="chosen by us",
    note="as much as items must rise at least",
)


@claim(
    id="dual_mechanisms.5.3.rebuilt",
    statement="In a run of middle layers exchanged items without ordering flip the answer: Shapes.",
    source=SOURCE,
    threshold=FLIPS,
)
def test_the_decoder_orders_items(backup, judge):
    judge(backup.rebuilt())


@claim(
    id="dual_mechanisms.5.3.rebuilt_squares",
    statement="In a run of middle layers exchanged items without ordering flip the answer: Squares.",
    source=SOURCE,
    threshold=FLIPS,
)
def test_the_decoder_orders_items_in_squares(backup_squares, judge):
    judge(backup_squares.rebuilt())


@claim(
    id="dual_mechanisms.5.3.rise",
    statement="Exchanged items without ordering move the answer in some layer: Shapes.",
    source=SOURCE,
    threshold=RISES,
)
def test_exchanged_items_move_the_answer(backup, judge):
    judge(backup.rise())


@claim(
    id="dual_mechanisms.5.3.rise_squares",
    statement="Exchanged items without ordering move the answer in some layer: Squares.",
    source=SOURCE,
    threshold=RISES,
    published=PAPER.values("rise_squares"),
)
def test_exchanged_items_move_the_answer_in_squares(backup_squares, judge):
    judge(backup_squares.rise())


@claim(
    id="dual_mechanisms.5.3.rise_of_background",
    statement="As many exchanged background tokens move nothing where items do: Shapes.",
    source="Cui et al. 2026, section 5.3.2; the control is ours",
    threshold=FLAT,
)
def test_exchanged_background_moves_nothing(backup, judge):
    judge(backup.rise_of_background())
