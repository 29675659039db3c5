"""Assouel et al. 2026, section 3.3 and Figure 1c: representational similarity over layers.

The position of each described object is represented at the tokens that mention it; then the target's position
at the last token; then the target's features there. A peak layer is chosen on one half of the scenes and read
on the other, and so is the token of a mention: the paper reads the comma after it, and a code may stand at
the noun or the color instead. The record's method says which. An order asks which code is there first: from
which layer on a curve has a share of its highest value, whichever share from a half to three quarters. A peak
would not tell, since a code that stays peaks anywhere and one that returns peaks late. A code that is absent
is nowhere first, so an order is refuted with it: this is how a subject that answers by content alone, the
control `shortcut`, fails these claims. Only that features are there in the end holds for it, too: the control
of that claim is `unbound`.

Similarity asks what most of the difference between states follows. A code that is there can be a small part of
it, so whether a position can be read at all is asked beside it, by linear probes that are judged on scenes they
never saw. `shortcut` is at chance there. Where nothing was trained, the cell of a mention is read right in up
to 40 of 100 cases, since its color and the image meet in one state: more than by chance (25), less than half.

Not asked: whether features can be read at the last token. They can be in every control, even an untrained one,
in 100 of 100 cases at every layer: the image less the words is the target. The figure of this experiment shows
it, and `Similarity.readable("features@last")` gives the number.

Not asked: the two peaks that a reader of the paper saw in some curves of features, since no sentence of the
paper says what the earlier one is. Where the earlier one has more than half of the later, it has a say in
the order.
"""

from harness.judging import published
from harness.judging.claim import above, below, claim

PAPER = published.load("assouel2026")

STRONG = above(
    0.40,
    unit="r",
    origin="chosen by us",
    note="about 65% of the published peaks, since the object set is not stated",
    exceptions={"qwen2.5-vl-7b": 0.35, "llava-1.5-7b": 0.35},
)
READ = above(
    0.25,
    unit="share read right less chance",
    origin="chosen by us",
    note="chance is 0.25, so more than half are read right; where nothing was trained leaks give up to 0.40",
)
LATER = above(0, unit="layers", origin="stated in the paper")


@claim(
    id="visual_symbols.3.3.position_at_mentions",
    statement="At a mention of an object the similarity of states follows where the object is.",
    source="Assouel et al. 2026, section 3.3, Figure 1c",
    threshold=STRONG,
    published=PAPER.peaks("position@mentions"),
)
def test_mentions_represent_position(similarity, judge):
    judge(similarity.strength("position@mentions"))


@claim(
    id="visual_symbols.3.3.position_at_last",
    statement="At the last token the similarity of states follows where the target is.",
    source="Assouel et al. 2026, section 3.3, Figures 1c and 14 to 19",
    threshold=STRONG,
    published=PAPER.peaks("position@last"),
)
def test_the_last_token_represents_position(similarity, judge):
    judge(similarity.strength("position@last"))


@claim(
    id="visual_symbols.3.3.position_readable_at_mentions",
    statement="At a mention of an object a linear probe reads in most cases where the object is.",
    source="Assouel et al. 2026, section 3.3; the probe is ours",
    threshold=READ,
)
def test_the_position_can_be_read_at_mentions(similarity, judge):
    judge(similarity.readable("position@mentions"))


@claim(
    id="visual_symbols.3.3.position_readable_at_last",
    statement="At the last token a linear probe reads in most cases where the target is.",
    source="Assouel et al. 2026, section 3.3; the probe is ours",
    threshold=READ,
)
def test_the_position_can_be_read_at_the_last_token(similarity, judge):
    judge(similarity.readable("position@last"))


@claim(
    id="visual_symbols.3.3.features_at_last",
    statement="In the last layers the similarity of states at the last token follows the target's features.",
    source="Assouel et al. 2026, section 3.3, Figures 1c and 14 to 19",
    threshold=above(
        0.75,
        unit="r",
        origin="chosen by us",
        note="best of the last quarter; published peaks are 0.87 to 0.98",
    ),
    published=PAPER.peaks("features@last"),
)
def test_the_last_layers_represent_features(similarity, judge):
    judge(similarity.late("features@last"))


@claim(
    id="visual_symbols.3.3.position_fades",
    statement="In the last layers the similarity of states no longer follows where the target is.",
    source="Assouel et al. 2026, section 3.3, Figures 1c and 14 to 19",
    threshold=below(
        0.30,
        unit="share of the peak",
        origin="chosen by us",
        note="last two layers; the published curves, read off the figures, give 0.06 to 0.18",
    ),
)
def test_position_fades_in_the_last_layers(similarity, judge):
    judge(similarity.remaining("position@last"))


@claim(
    id="visual_symbols.3.3.retrieval_before_selection",
    statement="Position is represented at the mentions before it is represented at the last token.",
    source="Assouel et al. 2026, section 3.3, Figure 1c",
    threshold=LATER,
)
def test_mentions_come_before_the_last_token(similarity, judge):
    judge(similarity.gap("position@mentions", "position@last"))


@claim(
    id="visual_symbols.3.3.selection_before_features",
    statement="At the last token the target's position is represented before its features.",
    source="Assouel et al. 2026, section 3.3, Figures 1c and 14 to 19",
    threshold=LATER,
)
def test_position_comes_before_features(similarity, judge):
    judge(similarity.gap("position@last", "features@last"))


@claim(
    id="visual_symbols.3.3.published_curve",
    statement="Over the layers, position at the last token rises and falls as published.",
    source="Assouel et al. 2026, section 3.3, Figures 1c and 14 to 19",
    threshold=above(
        0.80,
        unit="r over layers",
        origin="chosen by us",
        note="two thirds of the variance of the curve; its object set is not stated",
    ),
)
def test_the_curve_is_the_published_one(similarity, judge):
    judge(similarity.agreement("position@last", PAPER.curve(judge.entry.name, "position@last")))
