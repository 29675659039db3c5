"""Published numbers without an edit or in easy scenes: others are published as a change or a share of them."""

from __future__ import annotations

SPACE_BEFORE = {
    "llava-1.5-13b": 0.8125,
    "llava-1.5-7b": 0.6925,
    "qwen2-vl-7b": 0.969,
    "qwen2.5-vl-3b": 0.797,
    "qwen2.5-vl-7b": 0.824,
}
"""Accuracy without the ID, the mean of the four relations of Figure 5."""

CROWDED_BEFORE = {
    "llava-1.5-7b": 0.275,
    "llava-1.5-13b": 0.412,
    "qwen2.5-vl-3b": 0.690,
    "qwen2.5-vl-7b": 0.512,
}
"""Accuracy in scenes of shared features before IDs are put in, Table 1."""

CLEAR_ACCURACY = {
    "llava-1.5-7b": 0.688,
    "llava-1.5-13b": 0.729,
    "qwen2-vl-7b": 0.989,
    "qwen2.5-vl-3b": 0.889,
    "qwen2.5-vl-7b": 0.806,
    "qwen2.5-vl-32b": 0.904,
}
"""Accuracy with high entropy on 3x3 scenes, Figure 7."""

COUNTS_WITHOUT_TOP = {"qwen2.5-vl-32b": 0.0}
"""Accuracy without the heads of highest score, at 250 and at 500 of them, Figure 46."""

CLEAR_POSITION = {
    "llava-1.5-7b": 0.199,
    "llava-1.5-13b": 0.301,
    "qwen2-vl-7b": 0.368,
    "qwen2.5-vl-3b": 0.388,
    "qwen2.5-vl-7b": 0.373,
    "qwen2.5-vl-32b": 0.513,
}
"""Correlation with position at the last token with high entropy on 3x3 scenes, Figure 7."""
