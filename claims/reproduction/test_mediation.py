"""Deviations 1 and 2 of the public reproduction: how single heads were scored.

It found the heads of the three stages intertwined in several models, and no difference between silencing
the best and the worst heads. It read logits where the patch is, took one pair of images per condition, and
ran in bfloat16.
"""

from harness.judging.claim import above, below, claim

LISTS = (
    "discrepancy: head lists do not agree with the paper's (Figures 20 to 25), ID retrieval least"
)

LIST = below(
    0.80,
    unit="share of the list",
    origin="chosen by us",
    note="the reproduction's lists for Qwen2.5-VL-32B share 0.05, 0.25 and 0.75 with the paper's",
)


@claim(
    id="reproduction.mediation.logits_at_patch",
    statement="Read at the patched token, the head that retrieves IDs is not seen.",
    source=f"Deviation 1 of the reproduction; {LISTS}",
    threshold=below(
        0.50,
        unit="share of trials",
        origin="chosen by us",
        note="of trials in which the best head still scores what would count",
    ),
)
def test_reading_at_the_patch_hides_retrieval(retrieval_variants, judge):
    judge(retrieval_variants.seen_at_patch())


@claim(
    id="reproduction.mediation.one_pair_retrieval",
    statement="One pair of images in bfloat16 misses many heads that retrieve IDs.",
    source=f"Deviation 2 of the reproduction; {LISTS}",
    threshold=LIST,
)
def test_one_pair_misses_retrieval_heads(retrieval_variants, judge):
    judge(retrieval_variants.found("id_retrieval"))


@claim(
    id="reproduction.mediation.one_pair_selection",
    statement="One pair of images in bfloat16 misses many heads that select an ID.",
    source=f"Deviation 2 of the reproduction; {LISTS}",
    threshold=LIST,
)
def test_one_pair_misses_selection_heads(retrieval_variants, judge):
    judge(retrieval_variants.found("id_selection"))


@claim(
    id="reproduction.mediation.one_pair_features",
    statement="One pair of images in bfloat16 misses many heads that retrieve features.",
    source=f"Deviation 2 of the reproduction; {LISTS}",
    threshold=LIST,
)
def test_one_pair_misses_feature_heads(retrieval_variants, judge):
    judge(retrieval_variants.found("feature_retrieval"))


@claim(
    id="reproduction.mediation.zeros",
    statement="In bfloat16 three of four heads score exactly zero, so that their order is arbitrary.",
    source="Deviation 2 of the reproduction; discrepancy: best and worst heads count alike (Figure 46)",
    threshold=above(
        0.75,
        unit="share of heads",
        origin="chosen by us",
        note="the reproduction's stored scores are zero for 79% to 89% of selection and feature heads",
    ),
)
def test_most_heads_score_zero(retrieval_variants, judge):
    judge(retrieval_variants.zeros("id_retrieval"))
