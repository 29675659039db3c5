"""Cui et al. 2026, section 5.2.1 and Figure 4: an item's place is written into image tokens, and beside items.

A linear probe learns the places of items from their tokens as the decoder is given them. Nothing of the
decoder is run, so that no task is asked for.

With three fixed places a probe may read where a token stands on the canvas, which every vision encoder
writes into every token, and not which item is first. So the same probe is asked about an empty image, where
nothing is ordered, and about rows that stand a place further, where the two predict different labels.
"""

from harness.judging import published
from harness.judging.claim import above, claim

PAPER = published.load("cui2026")
SOURCE = "Cui et al. 2026, section 5.2.1, Figure 4"

READ = above(
    0.95,
    unit="share of tokens",
    origin="chosen by us",
    note="the paper calls its probes nearly perfect; its code gives 0.99 and more",
)
STRIPS = above(
    0.50,
    unit="share of tokens",
    origin="chosen by us",
    note="chance is one third; strips are a soft tendency in the published heat map",
)
BESIDES = above(
    0.15,
    unit="difference of shares",
    origin="chosen by us",
    note="what items must add to what an empty image says already",
)
ALONG = above(
    0.60,
    unit="share of tokens",
    origin="chosen by us",
    note="more than half of the way from chance to all",
)


@claim(
    id="dual_mechanisms.5.2.read",
    statement="A linear probe reads the places of items from their tokens at the decoder's input: Shapes.",
    source=SOURCE,
    threshold=READ,
    published=PAPER.values("read_shapes"),
)
def test_places_are_read_from_items(probes, judge):
    judge(probes.read())


@claim(
    id="dual_mechanisms.5.2.read_squares",
    statement="A linear probe reads the places of items from their tokens at the decoder's input: Squares.",
    source=SOURCE,
    threshold=READ,
    published=PAPER.values("read_squares"),
)
def test_places_are_read_from_squares(probes_squares, judge):
    judge(probes_squares.read())


@claim(
    id="dual_mechanisms.5.2.beside",
    statement="The same probe labels background tokens in strips with the item of their strip: Shapes.",
    source=SOURCE,
    threshold=STRIPS,
)
def test_places_are_written_beside_items(probes, judge):
    judge(probes.inside())


@claim(
    id="dual_mechanisms.5.2.beside_squares",
    statement="The same probe labels background tokens in strips with the item of their strip: Squares.",
    source=SOURCE,
    threshold=STRIPS,
)
def test_places_are_written_beside_squares(probes_squares, judge):
    judge(probes_squares.inside())


@claim(
    id="dual_mechanisms.5.2.beside_because_of_items",
    statement="It labels them so because of the items, and not as in an empty image: Shapes.",
    source="Cui et al. 2026, section 5.2.1; the empty image is ours",
    threshold=BESIDES,
)
def test_strips_are_written_because_of_items(probes, judge):
    judge(probes.more_than_empty())


@claim(
    id="dual_mechanisms.5.2.relative",
    statement="In a row that stands a place further, the probe reads places along the row: Shapes.",
    source="Cui et al. 2026, section 5.2.1; shifted rows are named in its code, their details are ours",
    threshold=ALONG,
)
def test_places_are_relative_to_the_row(probes, judge):
    judge(probes.relative())
