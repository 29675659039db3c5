"""Mediation in the reproduction's ways: which scenes judge, what is rounded, and subjects without heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.experiments.catalogue import MEDIATION, find_experiment
from harness.experiments.halves import list_ranked_scenes
from harness.experiments.patching import score_heads
from harness.experiments.reproduction import retrieval_variants
from harness.experiments.reproduction.retrieval_variants import (
    _convert_to_bfloat16,
    _draw_unseen,
    _LinearOfHalves,
)
from harness.judging.claim import above
from harness.judging.verdict import decide
from harness.measuring.experiment import Request, measure_alone
from harness.readings.reproduction.retrieval_variants import RetrievalVariants
from harness.stimuli.contrast import CONDITIONS, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry


@pytest.fixture(scope="module")
def planted():
    return load(find("planted", read_registry()))


@pytest.fixture(scope="module")
def mediation(planted):
    return measure_alone(MEDIATION, planted, trials=24)


def measure(subject, mediation, trials=16):
    rng = np.random.default_rng(0)
    return retrieval_variants.measure(
        Request(subject, trials, rng, needed={"mediation": mediation})
    )


@pytest.mark.deep
def test_mediation_keeps_the_scenes_of_both_sides_and_how_far_the_clean_answer_leads(mediation):
    kept = mediation.kept.values.tolist()
    for c, n in enumerate(kept):
        for sides in (mediation.scene[c], mediation.counterfactual_scene[c]):
            assert (sides.values[:n] != "").all()
        assert (mediation.scene[c].values != mediation.counterfactual_scene[c].values)[:n].all()
        # Contrasts are kept if the clean answer is the likeliest of all words.
        assert (mediation.clean[c].values[:n] > 0).all()


def test_a_patch_that_takes_the_whole_answer_over_takes_back_the_clean_lead(planted, mediation):
    """In `planted` either feature head alone brings the counterfactual's color, as sure as it was."""
    scores, clean = (
        mediation[name].sel(condition="feature_retrieval").values for name in ("score", "clean")
    )
    best = scores.mean(0).max()
    assert best / clean.mean() == pytest.approx(1, abs=0.05)


@pytest.mark.deep
def test_no_contrast_shows_a_scene_that_ranked_the_heads_of_its_stage(planted, mediation):
    data = measure(planted, mediation)
    for stage in CONDITIONS:
        ranked = list_ranked_scenes(mediation, [stage])
        assert len(ranked) > 24
        assert not ranked & set(data.scene.sel(stage=stage).values.tolist())
    request = Request(planted, 40, np.random.default_rng(1))
    seen = list_ranked_scenes(mediation)
    for pair in _draw_unseen(request, "id_selection", seen):
        assert not {pair.clean.scene.key, pair.counterfactual.scene.key} & seen


@pytest.mark.deep
def test_where_all_scenes_ranked_heads_nothing_is_judged(planted, mediation):
    grid, rng = planted.grids[2], np.random.default_rng(0)
    everything = {
        key
        for p in draw_contrasts("id_selection", grid, HIGH_ENTROPY[3], 20000, rng)
        for key in (p.clean.scene.key, p.counterfactual.scene.key)
    }
    assert _draw_unseen(Request(planted, 4, rng), "id_selection", everything) == []
    data = measure(planted, mediation, 4).copy(deep=True)
    data["scene"] = (("stage", "trial"), np.full((3, 4), ""))
    read = RetrievalVariants(data)
    for estimate in (read.seen_at_patch(), read.zeros("id_selection"), read.found("id_selection")):
        assert decide(estimate, ANY, "planted").verdict.value == "inconclusive"


ANY = above(-100, unit="u", origin="stated in the paper")


@pytest.mark.deep
def test_logits_are_rounded_before_they_are_subtracted(planted, mediation):
    """Scores that are rounded are told from zero by far smaller steps than scores of rounded logits."""
    data = measure(planted, mediation, 8)
    half = _convert_to_bfloat16(planted)
    rng = np.random.default_rng(0)
    pairs = _draw_unseen(
        Request(planted, 8, rng), "id_retrieval", list_ranked_scenes(mediation, ["id_retrieval"])
    )
    rounded = torch.from_numpy(score_heads(half, pairs)).bfloat16()
    of_scores = (rounded == 0).double().mean((1, 2)).numpy()
    of_logits = data["zero"].sel(stage="id_retrieval").values
    assert (of_logits >= of_scores).all()
    assert of_logits.mean() > of_scores.mean() + 0.2
    assert of_logits.mean() <= 1 - 1 / 64


@pytest.mark.deep
@pytest.mark.parametrize("name", ["unbound"])
def test_a_subject_without_a_right_contrast_misses_nothing(name):
    subject = load(find(name, read_registry()))
    empty = measure_alone(MEDIATION, subject, trials=6)
    empty = empty.where(False).assign(kept=0 * empty.kept, drawn=empty.drawn)
    for side in ("scene", "counterfactual_scene"):
        empty[side] = (("condition", "trial"), np.full((3, 6), ""))
    assert list_ranked_scenes(empty) == set()
    read = find_experiment("retrieval_variants").load_reading()(measure(subject, empty, 4))
    estimates = [read.seen_at_patch(), *map(read.zeros, CONDITIONS), *map(read.found, CONDITIONS)]
    for estimate in estimates:
        assert decide(estimate, ANY, name).verdict.value == "not_applicable"


@pytest.mark.deep
@pytest.mark.parametrize(
    ("score", "scenes", "verdict"),
    [
        (1.0, 24, "supported"),
        # All of one sign, as in an untrained model, but a hundredth of what is worth finding.
        (0.003, 24, "not_applicable"),
        (1.0, 7, "inconclusive"),
    ],
)
def test_heads_are_missed_only_where_they_mediate_as_much_as_is_worth_finding(
    planted, mediation, score, scenes, verdict
):
    data = measure(planted, mediation, 16).copy(deep=True)
    noise = 1 + 0.1 * np.random.default_rng(0).standard_normal(scenes)
    strength = np.full((3, 24), np.nan)
    strength[:, :scenes] = score * noise
    data["strength"] = (("stage", "scored"), strength)
    keys = np.full((3, 24), "", dtype="<U4")
    keys[:, :scenes] = [str(i) for i in range(scenes)]
    data["strength_scene"] = (("stage", "scored"), keys)
    read = RetrievalVariants(data)
    for stage in CONDITIONS:
        assert decide(read.found(stage), ANY, "planted").verdict.value == verdict


def test_layers_in_bfloat16_round_the_sum_of_exact_products_once(planted):
    """The truth is float64, in which these sums are exact enough, rounded to bfloat16."""
    model = _convert_to_bfloat16(planted).model
    half = model.model.multi_modal_projector.linear_1
    replaced = [m for m in model.modules() if isinstance(m, _LinearOfHalves)]
    assert len(replaced) == sum(type(m) is torch.nn.Linear for m in planted.model.modules())
    assert not any(type(m) is torch.nn.Linear for m in model.modules())
    states = torch.randn(3, 50, half.weight.shape[1], generator=torch.Generator().manual_seed(0))
    states = states.bfloat16()
    exact = states.double() @ half.weight.double().T + half.bias.double()
    given = half(states)
    assert given.dtype is torch.bfloat16
    # A sum that lies between two numbers may be rounded to either.
    assert (given == exact.bfloat16()).double().mean() > 0.99
    assert torch.allclose(given.double(), exact, rtol=2**-8, atol=1e-4)
    # The subject itself is as it was.
    assert type(planted.model.model.multi_modal_projector.linear_1) is torch.nn.Linear
