"""Assouel et al. 2026, appendix B and Figure 45: told the first object's ID, a list repeats that object.

The ID of "the first object" is the mean over many images, so that no single object is in it. Asked of
photographs; the embedded subjects are shown solids on textured ground, which they were trained to list.

An object comes again where its noun does: a "red bus" and a "bus" are one. How often that happens without the
ID is no claim: lists that name the same noun twice are left out before, as in the paper, so it never happens.
"""

from harness.judging.claim import above, claim


@claim(
    id="visual_symbols.b.repeats_first",
    statement="With the ID of the first object put in, the model lists it again.",
    source="Assouel et al. 2026, appendix B, Figures 44 and 45",
    threshold=above(
        0.60,
        unit="share of lists",
        origin="chosen by us",
        note="best of three numbers of heads; the published ones are 0.81 to 0.94",
    ),
    published={
        "llava-1.5-13b": 0.939,
        "qwen2.5-vl-7b": 0.937,
        "qwen2.5-vl-3b": 0.873,
        "llava-1.5-7b": 0.810,
        "qwen2.5-vl-32b": 0.842,
    },
)
def test_the_first_object_comes_again(listing, judge):
    judge(listing.repeats())


@claim(
    id="visual_symbols.b.repeats_first_exactly",
    statement="With the ID of the first object put in, the model lists it again in the same words.",
    source="Assouel et al. 2026, appendix B; how a repetition was told is not stated there",
    threshold=above(
        0.40,
        unit="share of lists",
        origin="chosen by us",
        note="two thirds of what is asked of nouns: 11 of 22 and 17 of 22 answers that the reproduction stored",
    ),
)
def test_the_first_object_comes_again_word_for_word(listing, judge):
    judge(listing.exact())


@claim(
    id="visual_symbols.b.repeats_first_specific",
    statement="Replacing as many random heads of the same layers does not.",
    source="Assouel et al. 2026, appendix B; the control is ours",
    threshold=above(
        0.45,
        unit="share of lists",
        origin="chosen by us",
        note="at least 0.60 with selection heads and at most 0.15 with random ones",
    ),
)
def test_selection_heads_are_what_repeats(listing, judge):
    judge(listing.specific())
