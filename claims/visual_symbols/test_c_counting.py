"""Assouel et al. 2026, appendix C and Figure 46: without the heads that bind, counting breaks down.

A tenth of all heads is silenced, those with the highest mediation scores or those with the lowest. A count that
cannot be read is weaker evidence than one that is wrong, so whether there is a number at all is its own claim.

Accuracy without ablation is no claim: all others rest on it, and a subject that counts right in fewer than 85
of 100 images is blocked. Where mediation ranks no head, none can be silenced. Where silencing the best heads
costs no count, it says nothing that silencing others costs none, nor that a number is still given.

Heads are ranked by the highest of their three scores, in logits, as in the paper. Heads of equal score are
taken in the order of their numbers, which matters where scores are rounded to many ties.
"""

from harness.judging.claim import above, below, claim

FIGURE = "Assouel et al. 2026, appendix C, Figure 46"


@claim(
    id="visual_symbols.c.top_heads_needed",
    statement="Without the heads that mediate binding most, the model cannot count.",
    source=FIGURE,
    threshold=below(
        0.20, unit="share right", origin="chosen by us", note="the published share is 0 of 120"
    ),
    published={"qwen2.5-vl-32b": 0.0},
)
def test_counting_needs_the_top_heads(counting, judge):
    judge(counting.accuracy())


@claim(
    id="visual_symbols.c.more_heads_more_errors",
    statement="The more of the heads that mediate binding are silenced, the fewer counts are right.",
    source=FIGURE,
    threshold=above(
        0.20,
        unit="share right",
        origin="chosen by us",
        note="over a third of what is published: 0.550 with 50 of 2560 heads silenced, 0 with 250",
    ),
    published={"qwen2.5-vl-32b": 0.55},
)
def test_more_silenced_heads_cost_more_counts(counting, judge):
    judge(counting.dose())


@claim(
    id="visual_symbols.c.bottom_heads_not_needed",
    statement="Without the heads that mediate binding least, it can.",
    source=FIGURE,
    threshold=above(
        0.70, unit="share right", origin="chosen by us", note="the published share is 0.867"
    ),
    published={"qwen2.5-vl-32b": 0.867},
)
def test_counting_does_not_need_the_bottom_heads(counting, judge):
    judge(counting.spared("bottom"))


@claim(
    id="visual_symbols.c.smallest_heads_not_needed",
    statement="Without the heads whose mediation score is nearest to zero, it can.",
    source=f"{FIGURE}, whose lowest heads may be the most negative or the smallest",
    threshold=above(
        0.70, unit="share right", origin="chosen by us", note="as for the lowest scores"
    ),
)
def test_counting_does_not_need_the_smallest_heads(counting, judge):
    judge(counting.spared("smallest"))


@claim(
    id="visual_symbols.c.gap",
    statement="The heads that mediate binding least are missed less than those that mediate it most.",
    source=FIGURE,
    threshold=above(
        0.50,
        unit="share right",
        origin="chosen by us",
        note="at least 0.70 without the lowest and at most 0.20 without the highest; published are 0.867 and 0",
    ),
    published={"qwen2.5-vl-32b": 0.867},
)
def test_top_heads_are_missed_more_than_bottom_heads(counting, judge):
    judge(counting.gap())


@claim(
    id="visual_symbols.c.worse_than_random",
    statement="Random heads of the same layers are missed less than those that mediate binding.",
    source="Assouel et al. 2026, appendix C; the control is ours",
    threshold=above(
        0.30,
        unit="share right",
        origin="chosen by us",
        note="a third of the published gap between the best and the worst heads",
    ),
)
def test_random_heads_are_missed_less(counting, judge):
    judge(counting.against_random())


@claim(
    id="visual_symbols.c.still_a_number",
    statement="Without the heads that mediate binding most, the model still gives a number.",
    source="Assouel et al. 2026, appendix C; the control is ours",
    threshold=above(
        0.80,
        unit="share of answers",
        origin="chosen by us",
        note="else a wrong count says only that the text broke",
    ),
)
def test_what_is_wrong_is_the_number(counting, judge):
    judge(counting.valid())
