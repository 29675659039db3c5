"""Cui et al. 2026, section 5.2.2 and Figures 5 to 7: vision's ordering lies in whole strips of image tokens.

Two regions exchange their tokens with those of a run on the mirrored image, so that every item keeps its
look and takes the other's place along. If the answer flips at the decoder's input, vision had written the
order there.

Strips are exchanged line by line. Where an item does not stand at the same offset in both, it lands a token
beside its place, as in the paper's strips for Gemma 3: whether that matters is asked by itself. Strips hold
more tokens than items do, so that exchanges as large without any item stand beside them: a subject that is
merely upset answers otherwise under those, too. A subject that takes the order from where tokens stand flips
under none.
"""

from harness.judging import published
from harness.judging.claim import above, below, claim

PAPER = published.load("cui2026")
SOURCE = "Cui et al. 2026, section 5.2.2, Figures 5 to 7"

FLIPS = above(
    0.60,
    unit="probability",
    origin="chosen by us",
    note="the published curve of the weakest direction begins at 0.74",
)
MORE = above(
    0.30,
    unit="difference of probabilities",
    origin="chosen by us",
    note="half of the least published difference, 0.62",
)
LESS_LIKELY = below(
    0.0,
    unit="difference of probabilities",
    origin="stated in the paper",
    note="exchanged items alone do not flip the answer reliably",
)
NEAR = below(
    0.15,
    unit="share of the depth",
    origin="chosen by us",
    note="three layers of 28, and one of eight",
)
STRONGER = above(
    0.0,
    unit="difference of probabilities",
    origin="stated in the paper",
    note="the decoder adds to what vision says in columns",
)
OURS = "Cui et al. 2026, section 5.2.2; the control is ours"


@claim(
    id="dual_mechanisms.5.2.strips",
    statement="Exchanged strips at the decoder's input flip the answer in every direction: Shapes.",
    source=SOURCE,
    threshold=FLIPS,
)
def test_strips_flip_the_answer(swaps, judge):
    judge(swaps.flipped())


@claim(
    id="dual_mechanisms.5.2.strips_squares",
    statement="Exchanged strips at the decoder's input flip the answer in every direction: Squares.",
    source=SOURCE,
    threshold=FLIPS,
    published=PAPER.values("flipped_squares"),
)
def test_strips_flip_the_answer_in_squares(swaps_squares, judge):
    judge(swaps_squares.flipped())


@claim(
    id="dual_mechanisms.5.2.strips_solids",
    statement="Exchanged strips at the decoder's input flip the answer: solids on textured ground.",
    source="Cui et al. 2026, section 5.2.2 (Objects); solids stand in for its photographs",
    threshold=FLIPS,
)
def test_strips_flip_the_answer_in_solids(swaps_solids, judge):
    judge(swaps_solids.flipped())


@claim(
    id="dual_mechanisms.5.2.misaligned",
    statement="So do strips in which items land a token beside their place: Shapes.",
    source="Cui et al. 2026, section 5.2.2 (Gemma 3's strips); asked apart by us",
    threshold=FLIPS,
)
def test_misaligned_strips_flip_the_answer(swaps, judge):
    judge(swaps.flipped("misaligned"))


@claim(
    id="dual_mechanisms.5.2.misaligned_squares",
    statement="So do strips in which items land a token beside their place: Squares.",
    source="Cui et al. 2026, section 5.2.2 (Gemma 3's strips); asked apart by us",
    threshold=FLIPS,
)
def test_misaligned_strips_flip_the_answer_in_squares(swaps_squares, judge):
    judge(swaps_squares.flipped("misaligned"))


@claim(
    id="dual_mechanisms.5.2.more_than_objects",
    statement="Strips flip the answer far more than the items in them do: Shapes.",
    source=SOURCE,
    threshold=MORE,
)
def test_strips_do_more_than_items(swaps, judge):
    judge(swaps.more_than("objects"))


@claim(
    id="dual_mechanisms.5.2.more_than_objects_squares",
    statement="Strips flip the answer far more than the items in them do: Squares.",
    source=SOURCE,
    threshold=MORE,
    published=PAPER.values("more_than_objects_squares"),
)
def test_strips_do_more_than_items_in_squares(swaps_squares, judge):
    judge(swaps_squares.more_than("objects"))


@claim(
    id="dual_mechanisms.5.2.misaligned_more_than_objects",
    statement="Misaligned strips flip the answer far more than the items in them do: Shapes.",
    source="Cui et al. 2026, section 5.2.2 (Gemma 3's strips); asked apart by us",
    threshold=MORE,
)
def test_misaligned_strips_do_more_than_items(swaps, judge):
    judge(swaps.more_than("objects", "misaligned"))


@claim(
    id="dual_mechanisms.5.2.more_than_objects_solids",
    statement="Strips flip the answer far more than the items in them do: solids on textured ground.",
    source="Cui et al. 2026, section 5.2.2 (Objects); solids stand in for its photographs",
    threshold=MORE,
)
def test_strips_do_more_than_items_in_solids(swaps_solids, judge):
    judge(swaps_solids.more_than("objects"))


@claim(
    id="dual_mechanisms.5.2.specific",
    statement="Exchanges as large that hold no item do not flip the answer: Shapes.",
    source=OURS,
    threshold=MORE,
)
def test_it_is_the_strips_of_items(swaps, judge):
    judge(swaps.specific())


@claim(
    id="dual_mechanisms.5.2.objects_flip",
    statement="Exchanged items alone flip the answer in no layer on average: Shapes.",
    source=SOURCE,
    threshold=LESS_LIKELY,
)
def test_items_alone_do_not_flip_the_answer(swaps, judge):
    judge(swaps.objects_flip())


@claim(
    id="dual_mechanisms.5.2.objects_flip_squares",
    statement="Exchanged items alone flip the answer in no layer on average: Squares.",
    source=SOURCE,
    threshold=LESS_LIKELY,
    published=PAPER.values("objects_flip_squares"),
)
def test_items_alone_do_not_flip_the_answer_in_squares(swaps_squares, judge):
    judge(swaps_squares.objects_flip())


@claim(
    id="dual_mechanisms.5.2.read_out_squares",
    statement="Strips stop flipping the answer where the word comes to the last token: Squares.",
    source=SOURCE,
    threshold=NEAR,
    published=PAPER.values("read_out_squares"),
)
def test_image_tokens_stop_mattering_where_the_word_is_read(swaps_squares, judge):
    judge(swaps_squares.read_out())


@claim(
    id="dual_mechanisms.5.2.strengthened_squares",
    statement="In columns, the decoder's middle layers strengthen what exchanged strips do: Squares.",
    source="Cui et al. 2026, section 5.2.2, Figures 7, 19 and 20",
    threshold=STRONGER,
    published=PAPER.values("strengthened_squares"),
)
def test_the_decoder_strengthens_the_ordering_of_columns(swaps_squares, judge):
    judge(swaps_squares.strengthened())
