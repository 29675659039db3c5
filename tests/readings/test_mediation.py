"""Heads that carry the stages: present by a test, of a size, in an order, few and apart; or not there."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

from harness.judging import published
from harness.judging.claim import above, below
from harness.judging.verdict import decide
from harness.measures.mediation import ROUNDING
from harness.readings.visual_symbols.mediation import SMALLEST, Mediation
from harness.stimuli.contrast import CONDITIONS

LAYERS, HEADS, TRIALS = 8, 8, 50
LEAD = 10.0
FEW = below(0.3, unit="share", origin="chosen by us", note="for the test")
STAGES = ([(2, 0), (2, 1)], [(4, 2), (4, 3)], [(6, 4), (6, 5)])


def over(value):
    return above(value, unit="u", origin="chosen by us", note="for the test")


def verdict(estimate, threshold):
    return decide(estimate, threshold, "made-up").verdict.value


def make(score, kept=TRIALS):
    """A reading of scores [condition, trial, layer, head]; what is not kept is NaN."""
    score = np.array(score)
    score[:, kept:] = np.nan
    stages, trials = score.shape[:2]
    scene = [[f"s{i}" if i < kept else "" for i in range(trials)]] * stages
    return Mediation(
        xr.Dataset(
            {
                "score": (("condition", "trial", "layer", "head"), score),
                "clean": (
                    ("condition", "trial"),
                    np.where(np.isnan(score[..., 0, 0]), np.nan, LEAD),
                ),
                "scene": (("condition", "trial"), scene),
                "drawn": (("condition",), [4 * trials] * stages),
                "kept": (("condition",), [kept] * stages),
            },
            {"condition": list(CONDITIONS)[:stages], "layer": np.arange(score.shape[2])},
        )
    )


def mediation(places, strength=2.0, kept=TRIALS, seed=0):
    """Scores of noise with strong heads at the places of each condition."""
    rng = np.random.default_rng(seed)
    score = 0.02 * rng.normal(size=(3, TRIALS, LAYERS, HEADS))
    for c, heads in enumerate(places):
        for layer, head in heads:
            score[c, :, layer, head] += strength + 0.1 * rng.normal(size=TRIALS)
    return make(score, kept)


def list_estimates(reading):
    """Everything that a claim asks of the heads."""
    return [
        *(f(s) for f in (reading.presence, reading.size, reading.share) for s in CONDITIONS),
        *(reading.depth_error(s, [(2, 0), (2, 1)]) for s in CONDITIONS),
        *(reading.replicated(s, [(2, 0), (2, 1)]) for s in CONDITIONS),
        reading.depth_gap("id_retrieval", "id_selection"),
        reading.depth_gap("id_selection", "feature_retrieval"),
        reading.overlap(),
        reading.sparsity(),
    ]


def test_planted_heads_are_found_in_order_and_apart():
    reading = mediation(STAGES)
    for stage, heads in zip(CONDITIONS, STAGES, strict=True):
        assert sorted(reading.heads(stage)) == heads
        assert verdict(reading.presence(stage), over(ROUNDING)) == "supported"
        assert verdict(reading.size(stage), over(1.5)) == "supported"
        assert reading.share(stage).value == pytest.approx(reading.size(stage).value / LEAD)
        assert reading.depth_error(stage, heads).value == 0
        assert (
            reading.depth_error(stage, [(layer + 1, 7) for layer, _ in heads]).value == 1 / LAYERS
        )
        assert reading.replicated(stage, heads).value == 1
    assert verdict(reading.depth_gap("id_retrieval", "id_selection"), over(0)) == "supported"
    assert verdict(reading.depth_gap("id_selection", "id_retrieval"), over(0)) == "refuted"
    assert reading.overlap().value == 0
    assert verdict(reading.overlap(), FEW) == "supported"
    assert reading.sparsity().value == pytest.approx(2 / 64, rel=0.05)
    assert (
        verdict(reading.sparsity(), below(0.1, unit="u", origin="stated in the paper"))
        == "supported"
    )


def make_stages(places, seed=0):
    """A reading of stages whose heads (layer, head) have strengths of their own, in logits."""
    rng = np.random.default_rng(seed)
    score = 0.02 * rng.normal(size=(3, TRIALS, LAYERS, HEADS))
    for c, heads in enumerate(places):
        for (layer, head), strength in heads.items():
            score[c, :, layer, head] += strength * (1 + 0.5 * rng.normal(size=TRIALS))
    return make(score)


def test_stray_heads_that_do_little_do_not_move_a_stage():
    """Two heads of retrieval in layer 2, and three later ones that do a fifth of what these do."""
    retrieval = {(2, 0): 3.0, (2, 1): 2.6, (6, 0): 0.5, (6, 3): 0.4, (7, 1): 0.4}
    later = {(4, 2): 2.0, (4, 3): 2.0}
    reading = make_stages((retrieval, later, {(6, 4): 2.0}))
    gap = reading.depth_gap("id_retrieval", "id_selection")
    assert (gap.value, verdict(gap, over(0))) == (2, "supported")
    assert verdict(reading.depth_gap("id_selection", "id_retrieval"), over(0)) == "refuted"


def test_stages_spread_over_layers_are_in_order_and_intertwined_ones_are_not():
    first = {(1, 0): 1.0, (2, 0): 2.0, (3, 0): 1.0}
    then = {(4, 0): 1.0, (5, 0): 2.0, (6, 0): 1.0, (6, 1): 0.5}
    gap = make_stages((first, then, then)).depth_gap("id_retrieval", "id_selection")
    assert verdict(gap, over(0)) == "supported"
    mixed = make_stages((first, {(1, 5): 1.0, (2, 5): 1.0, (3, 5): 2.0}, then))
    for pair in (("id_retrieval", "id_selection"), ("id_selection", "id_retrieval")):
        gap = mixed.depth_gap(*pair)
        assert verdict(gap, over(0)) == "inconclusive"
        assert "are intertwined" in gap.reason


def test_heads_of_the_first_layer_have_a_place_in_an_order():
    reading = make_stages(({(0, 1): 2.0}, {(1, 1): 2.0}, {(2, 1): 2.0}))
    assert verdict(reading.depth_gap("id_retrieval", "id_selection"), over(0)) == "supported"


def test_noise_is_a_stage_as_rarely_as_the_level_says_and_else_has_no_order():
    found = 0
    for seed in range(40):
        reading = mediation(([], STAGES[1], STAGES[2]), seed=seed)
        presence = reading.presence("id_retrieval")
        if verdict(presence, over(ROUNDING)) == "supported":
            found += 1
            continue
        assert verdict(presence, over(ROUNDING)) == "refuted"
        assert verdict(reading.size("id_retrieval"), over(SMALLEST["id_retrieval"])) == "refuted"
        assert verdict(reading.depth_gap("id_retrieval", "id_selection"), over(0)) == "refuted"
        assert verdict(reading.overlap(), FEW) == "refuted"
        assert verdict(reading.sparsity(), FEW) == "refuted"
    assert found <= binom.ppf(0.999, 40, 0.025)


def count_found(effect, noise, runs, seed):
    """In how many runs ID retrieval is present and refuted; one head of 64 has the effect, with sd 0.2."""
    rng = np.random.default_rng(seed)
    present = refuted = 0
    for _ in range(runs):
        score = noise * rng.normal(size=(1, TRIALS, LAYERS, HEADS))
        score[..., 3, 3] = effect + 0.2 * rng.normal(size=(1, TRIALS))
        said = verdict(make(score).presence("id_retrieval"), over(ROUNDING))
        present, refuted = present + (said == "supported"), refuted + (said == "refuted")
    return present, refuted


def test_a_head_as_weak_as_the_weakest_published_one_is_found():
    """Published maxima of ID retrieval begin at 0.144 logits; 25 trials judge it."""
    present, refuted = count_found(0.144, 0.02, 60, 0)
    assert present >= binom.ppf(0.001, 60, 0.9)
    assert refuted == 0


def test_without_an_effect_a_stage_is_found_as_rarely_as_the_level_says():
    present, _ = count_found(0.0, 0.2, 120, 1)
    assert present <= binom.ppf(0.999, 120, 0.025)


def test_a_stage_is_not_refuted_because_noise_chose_another_head():
    """Heads of noise as wide as the effect: the best on one half is often another, which does nothing."""
    _, refuted = count_found(0.144, 0.2, 60, 2)
    assert refuted <= binom.ppf(0.999, 60, 0.025)


def test_effects_that_may_be_rounding_are_not_present():
    score = 1e-5 + 1e-6 * np.random.default_rng(0).normal(size=(3, TRIALS, LAYERS, HEADS))
    for stage in CONDITIONS:
        assert verdict(make(score).presence(stage), over(ROUNDING)) == "refuted"


def test_heads_carry_no_answer_where_none_is_given():
    """Some head of an untrained model surely moves two answers apart, neither of which leads."""
    given = mediation(STAGES, strength=0.1)
    either = np.where(np.arange(TRIALS) % 2, 1, -1)
    none = Mediation(given.data.assign(clean=given.data.clean * either))
    for stage in CONDITIONS:
        for found, expected in ((given, "supported"), (none, "inconclusive")):
            assert verdict(found.presence(stage), over(ROUNDING)) == expected
            assert verdict(found.size(stage), over(0.001)) == expected


def test_the_smallest_size_worth_finding_is_half_of_the_smallest_published_one():
    for stage in CONDITIONS:
        least = min(published.load().maxima(stage).values())
        assert SMALLEST[stage] == pytest.approx(least / 2, abs=0.006)


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_stages_that_share_their_heads_are_not_separate(heads):
    everywhere = [(3, h) for h in range(heads)]
    assert verdict(mediation([everywhere] * 3).overlap(), FEW) == "refuted"


@pytest.mark.parametrize("seed", range(10))
def test_stages_that_may_or_may_not_exist_have_no_order(seed):
    """Noise wide enough to hide a head worth finding: neither there nor surely absent."""
    rng = np.random.default_rng(seed)
    data = mediation(([], [], STAGES[2]), seed=seed).data.copy(deep=True)
    data.score[0, :, 1] += 3 * rng.normal(size=(TRIALS, HEADS))
    data.score[1, :, 5] += 3 * rng.normal(size=(TRIALS, HEADS))
    unclear = Mediation(data)
    assert verdict(unclear.depth_gap("id_retrieval", "id_selection"), over(0)) != "supported"
    assert verdict(unclear.overlap(), FEW) != "supported"


@pytest.mark.parametrize("kept", [1, 5, 7, 11])
def test_too_few_contrasts_decide_nothing(kept):
    for estimate in list_estimates(mediation(STAGES, kept=kept)):
        assert verdict(estimate, over(-100)) == "inconclusive"
        assert verdict(estimate, over(100)) == "inconclusive"


def test_a_subject_without_a_right_contrast_has_no_heads_to_ask_about():
    reading = mediation(STAGES, kept=0)
    for estimate in list_estimates(reading):
        assert verdict(estimate, over(-100)) == "not_applicable"
        assert "none of 200 contrasts" in estimate.reason
    assert all(reading.heads(stage) == [] for stage in CONDITIONS)


def test_heads_that_all_tie_are_no_list():
    score = np.zeros((3, TRIALS, LAYERS, HEADS))
    score[:, :, ::2] = 1.0
    reading = make(score)
    for stage in CONDITIONS:
        assert verdict(reading.presence(stage), over(ROUNDING)) == "supported"
        assert reading.heads(stage) == []
    for estimate in (reading.depth_gap("id_retrieval", "id_selection"), reading.overlap()):
        assert verdict(estimate, over(-100)) == "inconclusive"
        assert "equal scores" in estimate.reason


def test_many_heads_of_one_stage_are_not_few():
    many = [(layer, head) for layer in range(3) for head in range(8)]
    sparsity = mediation((STAGES[0], many, STAGES[2])).sparsity()
    assert sparsity.value == pytest.approx(24 / 64, rel=0.05)
    assert verdict(sparsity, below(0.1, unit="u", origin="stated in the paper")) == "refuted"
