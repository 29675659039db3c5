"""What no scorecard can tell, as its page says below all verdicts."""

from __future__ import annotations

LIMITS = (
    (
        "Other images.",
        "The scenes are drawn shapes on a grid, or solids on textured ground, named in a fixed form of "
        "words. A mechanism "
        "found here may not be what the subject uses on photographs or in conversation, and one "
        "that is not found here may be.",
    ),
    (
        "Presence is not use.",
        "Similarity and principal components show what can be read from activations, not that "
        "later layers read it. Only patching intervenes, and then one head at a time: heads "
        "that stand in for each other go unseen.",
    ),
    (
        "Only where the task is done.",
        "Mediation is measured on trials that the subject answers right on both sides, and "
        "describes those trials.",
    ),
    (
        "Refuted is about this threshold.",
        "Thresholds that a paper does not state are read off a figure or chosen by us, and each "
        "says which. An estimate near its threshold is better read as a number than as a word.",
    ),
    (
        "Inconclusive is about the run.",
        "It says that the interval is too wide or the correction too strict, not that the "
        "effect is small. More trials can settle it; blocked and n/a they do not.",
    ),
    (
        "Two subjects.",
        "Where one is supported and the other is not, the two may still not differ: their "
        "intervals can overlap. No verdict on this page compares subjects.",
    ),
    (
        "Published values.",
        "They come from other images, other prompts or another checkpoint, are often read off a "
        "plot, and have no interval. They stand beside a verdict and never decide it.",
    ),
    (
        "Some will be wrong.",
        "The correction holds within one subject and one paper, where up to one in forty "
        "supported claims is expected to be false. Over many subjects, papers and repeated "
        "runs, false verdicts add up.",
    ),
    (
        "What intervals leave out.",
        "They cover the choice of scenes, not the choice of words, the style of the images or "
        "the numerical precision.",
    ),
)
"""What a reader of the page must not conclude: a title and a text each."""
