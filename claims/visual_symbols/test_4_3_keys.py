"""Assouel et al. 2026, section 4.3 and Figure 4: IDs are stored in the keys of the objects' patches.

Exchanging the mean keys of two objects makes the model report the other one's color. The control `shortcut`
finds what it is asked for by shape, and its keys of two sides differ by nothing.

The rival is content: the color of the shape that is asked for, as without an edit. The question names no color
and no second object, so that nothing is there to be copied or counted off.
"""

from harness.judging.claim import above, claim


@claim(
    id="visual_symbols.4.3.keys",
    statement="Exchanging the mean keys of two objects' patches makes the model report the other color.",
    source="Assouel et al. 2026, section 4.3, Figure 4",
    threshold=above(
        0.70,
        unit="share of answers",
        origin="chosen by us",
        note="the lowest published share is 0.813, with half an error bar of 0.25",
        exceptions={"llava-1.5-7b": 0.60, "llava-1.5-13b": 0.60},
    ),
    published={
        "qwen2.5-vl-3b": 0.938,
        "qwen2.5-vl-7b": 0.987,
        "qwen2.5-vl-32b": 0.913,
        "qwen2-vl-7b": 1.0,
        "llava-1.5-7b": 0.813,
        "llava-1.5-13b": 0.868,
    },
)
def test_exchanged_keys_exchange_colors(keys, judge):
    judge(keys.swapped())


@claim(
    id="visual_symbols.4.3.keys_specific",
    statement="The same vectors at background patches, or random ones as long, do not.",
    source="Assouel et al. 2026, section 4.3; the controls are ours",
    threshold=above(
        0.50,
        unit="share of answers",
        origin="chosen by us",
        note="at least 0.70 with the paper's edit and at most 0.20 with either control",
    ),
)
def test_it_is_the_objects_keys(keys, judge):
    judge(keys.specific())


@claim(
    id="visual_symbols.4.3.own_color_unedited",
    statement="Without an edit the model reports the queried object's own color.",
    source="Assouel et al. 2026, section 4.3; the base rate is ours",
    threshold=above(
        0.90,
        unit="share of answers",
        origin="chosen by us",
        note="what is not told apart cannot be exchanged; 45 scenes that are all right can tell 0.92",
    ),
)
def test_the_own_color_is_reported_without_an_edit(keys, judge):
    judge(keys.own())


@claim(
    id="visual_symbols.4.3.keys_over_rivals",
    statement="Position IDs in the keys predict more answers under the exchange than content does.",
    source="Assouel et al. 2026, section 4.3; the rivals are ours",
    threshold=above(
        0.0,
        unit="share of answers",
        origin="chosen by us",
        note="where a rival predicts as many, nothing says which explanation is right",
    ),
)
def test_position_ids_explain_exchanged_keys_best(keys, judge):
    judge(keys.lead_over_rivals())
