"""Assouel et al. 2026, section 4.2: retrieval acts through selection, so that the stages are a chain.

The paper changes each stage alone. If the ID that a mention retrieves is what the last token selects from,
then patched retrieval heads must do nothing to the answer while the selection heads are held at their clean
outputs. Holding as many other heads of the same layers must leave the effect. Where retrieval moves nothing
there is no chain to cut.
"""

from harness.judging.claim import above, below, claim

SOURCE = (
    "Assouel et al. 2026, section 4.2; both edits together are ours, the paper has no such test"
)


@claim(
    id="visual_symbols.4.2.through_selection",
    statement="With the selection heads held, less than half of the effect of retrieval is left.",
    source=SOURCE,
    threshold=below(
        0.50,
        unit="share of the effect",
        origin="chosen by us",
        note="most of the effect goes through these heads; a few of many heads are held, so not all need to",
    ),
)
def test_retrieval_acts_through_selection(through_selection, judge):
    judge(through_selection.left())


@claim(
    id="visual_symbols.4.2.through_selection_specific",
    statement="With as many other heads of the same layers held, more of the effect of retrieval is left.",
    source=SOURCE,
    threshold=above(
        0.25,
        unit="share of the effect",
        origin="chosen by us",
        note="half of what holding the selection heads must take away at least",
    ),
)
def test_holding_other_heads_spares_the_effect(through_selection, judge):
    judge(through_selection.spared())
