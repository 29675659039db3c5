"""Assouel et al. 2026, section 3.4 and Figure 1d: three sets of heads mediate the three stages.

One head at a time takes its value from a counterfactual run, and the change of the logit difference is
its score (Eq. 1). Swapped objects isolate ID retrieval (patched at the mention) and ID selection
(patched at the last token), a changed target isolates feature retrieval. The best head is chosen on one
half of the trials and judged on the other; stages without heads have no place in an order. The control
`shortcut` has no heads of the first two stages. It has heads that bring back features, found by content,
and the claim of the third stage holds for it: that claim says what is brought, the second says by what.
"""

from harness.judging import published
from harness.judging.claim import above, below, claim
from harness.readings.visual_symbols.mediation import WEAKEST

PAPER = published.load("assouel2026")

DEEPER = above(0, unit="layers", origin="stated in the paper")


@claim(
    id="visual_symbols.3.4.id_retrieval",
    statement="Some head retrieves the position ID of the described object at its mention.",
    source="Assouel et al. 2026, section 3.4, Figures 1d and 20 to 25",
    threshold=above(
        WEAKEST["id_retrieval"],
        unit="logits",
        origin="chosen by us",
        note="the published maxima are 0.144 to 0.44, the stage being weak and noisy",
    ),
    published=PAPER.maxima("id_retrieval"),
)
def test_a_head_retrieves_ids(mediation, judge):
    judge(mediation.strength("id_retrieval"))


@claim(
    id="visual_symbols.3.4.id_selection",
    statement="Some head selects the position ID of the target at the last token.",
    source="Assouel et al. 2026, section 3.4, Figures 1d and 20 to 25",
    threshold=above(
        WEAKEST["id_selection"],
        unit="logits",
        origin="chosen by us",
        note="the published maxima are 0.27 to 1.20",
    ),
    published=PAPER.maxima("id_selection"),
)
def test_a_head_selects_the_id(mediation, judge):
    judge(mediation.strength("id_selection"))


@claim(
    id="visual_symbols.3.4.feature_retrieval",
    statement="Some head retrieves the features of the target at the last token.",
    source="Assouel et al. 2026, section 3.4, Figures 1d and 20 to 25",
    threshold=above(
        WEAKEST["feature_retrieval"],
        unit="logits",
        origin="chosen by us",
        note="the published maxima are 0.61 to 3.53",
    ),
    published=PAPER.maxima("feature_retrieval"),
)
def test_a_head_retrieves_features(mediation, judge):
    judge(mediation.strength("feature_retrieval"))


@claim(
    id="visual_symbols.3.4.retrieval_before_selection",
    statement="The heads that retrieve IDs lie in earlier layers than those that select one.",
    source="Assouel et al. 2026, section 3.4, Figure 1d",
    threshold=DEEPER,
)
def test_retrieval_heads_come_before_selection_heads(mediation, judge):
    judge(mediation.depth_gap("id_retrieval", "id_selection"))


@claim(
    id="visual_symbols.3.4.selection_before_features",
    statement="The heads that select an ID lie in earlier layers than those that retrieve features.",
    source="Assouel et al. 2026, section 3.4, Figure 1d",
    threshold=DEEPER,
)
def test_selection_heads_come_before_feature_heads(mediation, judge):
    judge(mediation.depth_gap("id_selection", "feature_retrieval"))


@claim(
    id="visual_symbols.3.4.separate_heads",
    statement="The three stages are carried by different heads.",
    source="Assouel et al. 2026, section 3.4, Figure 1d",
    threshold=below(
        0.3,
        unit="share of top heads",
        origin="chosen by us",
        note="at most two of ten top heads in common between any two stages",
    ),
)
def test_stages_have_heads_of_their_own(mediation, judge):
    judge(mediation.overlap())


@claim(
    id="visual_symbols.3.4.few_heads",
    statement="Each stage is carried by few heads.",
    source="Assouel et al. 2026, section 3.4, Figures 1d and 20 to 25",
    threshold=below(
        0.15,
        unit="share of all heads",
        origin="chosen by us",
        note="in no published map do more than a tenth of the heads reach a tenth of the highest score",
    ),
)
def test_few_heads_carry_a_stage(mediation, judge):
    judge(mediation.sparsity())


def published_heads(judge, stage):
    heads = PAPER.heads(judge.entry.name, stage)
    return heads and [(h.layer, h.head) for h in heads]


def survive(share):
    return above(
        share,
        unit="share of heads",
        origin="chosen by us",
        note="of the ten best published heads, in the twenty best here: images and precision are not stated",
    )


@claim(
    id="visual_symbols.3.4.same_retrieval_heads",
    statement="The heads that retrieve IDs are the published ones.",
    source="Assouel et al. 2026, section 3.4, Figures 1d and 20 to 25",
    threshold=survive(0.25),
)
def test_retrieval_heads_are_the_published_ones(mediation, judge):
    judge(mediation.replicated("id_retrieval", published_heads(judge, "id_retrieval")))


@claim(
    id="visual_symbols.3.4.same_selection_heads",
    statement="The heads that select an ID are the published ones.",
    source="Assouel et al. 2026, section 3.4, Figures 1d and 20 to 25",
    threshold=survive(0.45),
)
def test_selection_heads_are_the_published_ones(mediation, judge):
    judge(mediation.replicated("id_selection", published_heads(judge, "id_selection")))


@claim(
    id="visual_symbols.3.4.same_feature_heads",
    statement="The heads that retrieve features are the published ones.",
    source="Assouel et al. 2026, section 3.4, Figures 1d and 20 to 25",
    threshold=survive(0.55),
)
def test_feature_heads_are_the_published_ones(mediation, judge):
    judge(mediation.replicated("feature_retrieval", published_heads(judge, "feature_retrieval")))
