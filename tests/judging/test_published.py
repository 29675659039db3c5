from __future__ import annotations

import statistics

import pytest

from harness.judging.published import Peak, load

PAPER = load()
STAGES = ("id_retrieval", "id_selection", "feature_retrieval")
SYNTHETIC = ("position@mentions", "position@last", "features@last")
BLOCKS = ("relative@last", "absolute@last", "block_features@last")

LAYERS_AND_HEADS = {
    "qwen2-vl-7b": (28, 28),
    "qwen2.5-vl-3b": (36, 16),
    "qwen2.5-vl-7b": (28, 28),
    "qwen2.5-vl-32b": (64, 40),
    "llava-1.5-7b": (32, 32),
    "llava-1.5-13b": (40, 40),
    "llava-onevision-7b": (28, 28),
    "idefics2-8b": (32, 32),
}
CURVES = [(s, p) for s in PAPER.subjects for p in SYNTHETIC + BLOCKS if PAPER.curve(s, p)]
PANELS = [(s, stage) for s in PAPER.subjects for stage in STAGES if PAPER.heads(s, stage)]


def test_every_model_of_the_paper_is_there_and_one_figure_without_a_model():
    assert set(PAPER.subjects) == {*LAYERS_AND_HEADS, "figure-2"}
    assert PAPER.paper["arxiv"] == "2506.15871"
    assert PAPER.paper["version"] == "v2"


def test_as_many_curves_and_panels_as_the_figures_have():
    # Figure 1c has three curves, 14-19 two each, 2 and 26-28 three in each of eight panels.
    assert len(CURVES) == 3 + 6 * 2 + 8 * 3
    assert len(PANELS) == 7 * 3


@pytest.mark.parametrize(("subject", "pair"), CURVES)
def test_a_curve_has_the_layers_of_its_model(subject, pair):
    expected = 36 if subject == "figure-2" else LAYERS_AND_HEADS[subject][0]
    curve = PAPER.curve(subject, pair)
    assert len(curve) == expected
    assert all(0 <= r <= 1 for r in curve)


@pytest.mark.parametrize(("subject", "pair"), CURVES)
def test_a_curve_is_highest_where_its_peak_is_stated_to_be(subject, pair):
    curve, peak = PAPER.curve(subject, pair), PAPER.peak(subject, pair)
    assert curve[peak.layer] == max(curve)
    # A curve is rounded to two decimals; the slack is for the binary form of a rounded half.
    assert curve[peak.layer] == pytest.approx(peak.r, abs=0.005 + 1e-9)


@pytest.mark.parametrize(("subject", "stage"), PANELS)
def test_heads_are_in_the_model_listed_once_and_from_the_strongest_down(subject, stage):
    layers, heads = LAYERS_AND_HEADS[subject]
    listed = PAPER.heads(subject, stage)
    assert all(0 <= h.layer < layers and 0 <= h.head < heads for h in listed)
    assert len({(h.layer, h.head) for h in listed}) == len(listed)
    shares = [h.share for h in listed]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    assert shares[-1] > 0


def test_twenty_heads_are_listed_but_for_the_panel_with_shifted_rows():
    counts = {panel: len(PAPER.heads(*panel)) for panel in PANELS}
    shifted = {stage: counts.pop(("qwen2-vl-7b", stage)) for stage in STAGES}
    assert shifted == {"id_retrieval": 10, "id_selection": 6, "feature_retrieval": 10}
    assert set(counts.values()) == {20}


@pytest.mark.parametrize(("subject", "stage"), PANELS)
def test_the_median_layer_is_that_of_the_ten_strongest_heads(subject, stage):
    if subject == "qwen2-vl-7b":
        assert PAPER.median_layer(subject, stage) is None
        return
    strongest = [h.layer for h in PAPER.heads(subject, stage)[:10]]
    assert PAPER.median_layer(subject, stage) == statistics.median(strongest)


def test_values_are_those_of_the_figures():
    assert PAPER.peak("qwen2-vl-7b", "position@mentions") == Peak(
        16, 0.675, "top four layers 14-17"
    )
    assert PAPER.peak("qwen2.5-vl-32b", "relative@last") == Peak(44, 0.680)
    assert PAPER.curve("llava-1.5-7b", "position@last")[12:15] == (0.30, 0.34, 0.55)
    assert PAPER.curve("llava-1.5-13b", "absolute@last")[0] == 0.20
    strongest = PAPER.heads("qwen2-vl-7b", "id_retrieval")[0]
    assert (strongest.layer, strongest.head, strongest.share) == (17, 14, 1.0)
    last = PAPER.heads("llava-onevision-7b", "feature_retrieval")[-1]
    assert (last.layer, last.head, last.share) == (24, 25, 0.06)
    maxima = [PAPER.maximum("qwen2.5-vl-3b", stage) for stage in STAGES]
    assert maxima == [0.165, 1.20, 3.53]


def test_a_claim_gets_the_values_of_all_subjects_that_the_paper_shows_and_no_others():
    assert PAPER.peaks("position@mentions") == {"qwen2-vl-7b": 0.675}
    assert PAPER.peaks("position@last") == {
        "qwen2-vl-7b": 0.672,
        "qwen2.5-vl-3b": 0.792,
        "qwen2.5-vl-7b": 0.539,
        "qwen2.5-vl-32b": 0.761,
        "llava-1.5-7b": 0.547,
        "llava-onevision-7b": 0.691,
        "idefics2-8b": 0.727,
    }
    assert PAPER.maxima("id_selection") == {
        "qwen2.5-vl-3b": 1.20,
        "qwen2.5-vl-7b": 0.50,
        "qwen2.5-vl-32b": 0.90,
        "llava-1.5-7b": 0.27,
        "llava-1.5-13b": 0.35,
        "llava-onevision-7b": 0.51,
    }


def test_a_subject_that_the_paper_does_not_show_has_nothing_and_is_no_error():
    assert PAPER.curve("tiny-llava", "position@last") is None
    assert PAPER.peak("tiny-llava", "position@last") is None
    assert PAPER.heads("tiny-llava", "id_selection") is None
    assert PAPER.maximum("tiny-llava", "id_selection") is None


def test_a_part_that_the_paper_shows_of_other_subjects_only_is_no_error():
    assert PAPER.curve("llava-1.5-13b", "position@last") is None
    assert PAPER.curve("idefics2-8b", "position@mentions") is None
    assert PAPER.maximum("qwen2-vl-7b", "id_selection") is None


@pytest.mark.parametrize("lookup", ["curve", "peak", "heads", "maximum", "median_layer"])
@pytest.mark.parametrize("part", ["positions@last", "figure"])
def test_a_name_that_the_paper_uses_nowhere_is_an_error_that_lists_those_it_uses(lookup, part):
    with pytest.raises(ValueError, match=f"{part}.*(position@last|id_selection)"):
        getattr(PAPER, lookup)("qwen2-vl-7b", part)


@pytest.mark.parametrize("table", ["curves", "peaks", "heads", "maxima", "median_layers"])
def test_every_table_says_that_its_values_were_read_off_figures(table):
    assert "read off figures" in PAPER.marked(table)


def test_a_paper_without_figures_is_an_error_that_names_those_with():
    with pytest.raises(FileNotFoundError, match="there are: assouel2026"):
        load("nobody1999")


DUAL = load("cui2026")


def test_single_values_are_given_for_the_subjects_that_have_them():
    assert DUAL.paper["arxiv"] == "2603.22278"
    assert set(DUAL.values("left_squares")) == {"qwen2-vl-7b", "gemma-3-4b"}
    # Only Qwen2-VL's curves could be read.
    assert set(DUAL.values("ordinal_squares")) == {"qwen2-vl-7b"}


def test_what_falls_and_what_is_left_add_up_to_the_printed_accuracy():
    printed = {
        ("qwen2-vl-7b", "squares"): 1.00,
        ("qwen2-vl-7b", "shapes"): 1.00,
        ("gemma-3-4b", "squares"): 0.98,
        ("gemma-3-4b", "shapes"): 0.99,
    }
    for (subject, setting), accuracy in printed.items():
        fallen, left = (DUAL.values(f"{what}_{setting}")[subject] for what in ("drop", "left"))
        assert fallen + left == pytest.approx(accuracy)


def test_a_value_that_no_subject_has_is_a_mistake():
    with pytest.raises(ValueError, match="no values named 'nothing'"):
        DUAL.values("nothing")
