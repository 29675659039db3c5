"""Interventions move what was planted, and nothing where nothing was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from harness.experiments.catalogue import find_experiment
from harness.experiments.editing import (
    average_by_label,
    edit_heads,
    find_answers,
    find_last_token,
    read_words,
)
from harness.experiments.halves import list_ranked_scenes
from harness.experiments.other_heads import find_heads_that_matter
from harness.experiments.pushes import Push, Pushes
from harness.experiments.rivals import tabulate_rivals
from harness.measuring.experiment import Request
from harness.readings.exchange import compare_with_controls
from harness.readings.visual_symbols.blocks import Blocks
from harness.readings.visual_symbols.keys import Keys
from harness.readings.visual_symbols.steering import Steering
from harness.readings.visual_symbols.transplant import Transplant
from harness.statistics.estimate import Estimate
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.questions import draw_side_pairs
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.edit import Edit
from harness.training.wired.plans import PLANS

BLOCKS, KEYS, STEERING_DRAWN, TRANSPLANT = map(
    find_experiment, ("blocks", "keys", "steering_drawn", "transplant")
)


@pytest.fixture(scope="module")
def of():
    """A control and an experiment's measurement of it."""
    subjects, found = {}, {}

    def measured(experiment, name, trials):
        if name not in subjects:
            subjects[name] = load(find(name, read_registry()))
        key = (experiment.name, name)
        if key not in found:
            needed = {other.name: measured(other, name, 24) for other in experiment.needs}
            request = Request(subjects[name], trials, np.random.default_rng(7), needed=needed)
            found[key] = experiment.load_measure()(request)
        return found[key]

    return measured


@pytest.fixture(scope="module")
def planted():
    return load(find("planted", read_registry()))


@pytest.fixture(scope="module")
def pairs(planted):
    rng = np.random.default_rng(1)
    return draw_side_pairs(planted.grids[2], HIGH_ENTROPY[3], 10, rng, solids=False)


@pytest.mark.parametrize("stage", CONDITIONS)
def test_steering_any_planted_stage_swaps_the_answer(of, stage):
    read = Steering(of(STEERING_DRAWN, "planted", 48))
    assert read.swapped(stage).value > 0.9
    assert read.specific(stage).interval(0.95)[0] > 0.2
    assert read.data.before.mean() < 0.05


@pytest.mark.parametrize("stage", CONDITIONS[:2])
def test_steering_a_subject_without_position_ids_swaps_nothing(of, stage):
    """It has no head of the first two stages: what scores below rounding is not edited in their name."""
    swapped = Steering(of(STEERING_DRAWN, "shortcut", 48)).swapped(stage)
    assert (swapped.value, swapped.settled) == (None, True)
    assert "no head" in swapped.reason


def test_a_transplant_tells_relative_from_absolute(of):
    relative = Transplant(of(TRANSPLANT, "planted", 48))
    assert relative.share("relative").value > 0.9
    assert relative.share("absolute").value < 0.1
    absolute = Transplant(of(TRANSPLANT, "planted-absolute", 48))
    assert absolute.share("absolute").value > 0.6
    assert absolute.share("relative").value < 0.1


def test_the_number_of_transplanted_heads_is_chosen_by_both_candidates():
    """Two heads name the relative one now and then, by confusion; it takes all to name the absolute one."""
    trial = np.arange(80)
    said = np.full((3, 80), "pink")
    said[1, trial % 20 == 0] = "red"
    said[2, trial % 10 != 0] = "blue"
    part = np.where(trial < 40, "estimation", "evaluation")
    explained = {"relative": ["red"] * 80, "absolute": ["blue"] * 80, "nothing": said[0]}
    scenes = trial.astype(str)
    read = Transplant(
        xr.Dataset(
            {
                "names": (("candidate", "k", "trial"), np.stack([said == "red", said == "blue"])),
                "scene": (("trial",), scenes),
                "part": (("trial",), part),
                "asked_part": (("asked",), part),
                **tabulate_rivals(said, ("k", [0, 2, 64]), [explained], scenes),
            },
            {"candidate": ["relative", "absolute"]},
        )
    )
    assert read.heads == 64
    assert read.share("absolute").value == pytest.approx(0.9)


def test_similarity_tells_relative_from_absolute(of):
    relative, absolute = (Blocks(of(BLOCKS, n, 96)) for n in ("planted", "planted-absolute"))
    assert relative.lead().interval(0.95)[0] > 0.3 > -0.3 > absolute.lead().interval(0.95)[1]
    assert relative.beyond("relative", "absolute").interval(0.95)[0] > 0.8
    assert absolute.beyond("relative", "absolute").interval(0.95)[1] < 0.2


def test_exchanged_keys_exchange_answers_only_where_keys_have_a_place(of):
    keys = Keys(of(KEYS, "planted", 48))
    assert keys.swapped().value > 0.9
    assert keys.swapped("none").value == 0
    assert keys.specific().value > 0.5
    assert keys.specific().interval(0.95)[0] > 0
    assert Keys(of(KEYS, "shortcut", 48)).swapped().value < 0.3


def test_without_edits_the_answer_is_the_models_own(planted, pairs):
    batch = planted.encode(pairs)
    likeliest = read_last_logits(planted, batch).argmax(-1)
    assert np.array_equal(find_answers(planted, pairs)[0], read_words(planted, likeliest))


def test_heads_that_get_their_own_values_change_nothing(planted, pairs):
    batch = planted.encode(pairs)
    own = capture(planted, batch, "head", find_last_token(batch))
    edits = edit_heads("head", [(2, 1), (4, 3), (4, 0)], find_last_token(batch), own, "replace")
    assert torch.equal(
        read_edited_logits(planted, batch, edits), read_edited_logits(planted, batch, [])
    )


def test_edits_of_several_heads_are_those_of_each(planted, pairs):
    batch = planted.encode(pairs)
    values = torch.randn(planted.layers, len(pairs), 1, planted.heads, planted.head_width)
    heads = [(4, 3), (2, 1), (4, 0)]
    together = read_edited_logits(
        planted, batch, edit_heads("head", heads, find_last_token(batch), values, "add")
    )
    single = [
        Edit("head", layer, find_last_token(batch), values[layer][:, :, [h]], (h,), "add")
        for layer, h in heads
    ]
    assert torch.allclose(together, read_edited_logits(planted, batch, single), atol=1e-5)


def test_each_mean_is_over_the_trials_of_its_label():
    values = torch.arange(12.0).reshape(2, 6, 1)
    labels = np.array([0, 1, 0, 1, 1, 0])
    means = average_by_label(values, labels, 2)
    assert torch.equal(means[1, 0], values[0, [1, 3, 4]].mean(0))
    with pytest.raises(ValueError, match="position 2"):
        average_by_label(values, labels, 3)


def test_an_edit_that_draws_all_answers_to_one_side_is_no_exchange():
    sides = np.array([0, 1] * 20)
    scenes = [str(i) for i in range(40)]
    exchange, hijack = np.ones(40, bool), sides == 0
    still = np.zeros(40, bool)

    def compare(moved: np.ndarray) -> Estimate:
        return compare_with_controls(
            moved, drawn=still, fixed=hijack, sides=sides, scenes=np.array(scenes)
        )

    assert compare(exchange).value == 1
    assert compare(hijack).value == 0


def test_a_control_that_is_drawn_for_each_scene_is_compared_on_both_sides():
    sides, scenes = np.array([0, 1] * 20), np.arange(40).astype(str)
    everything, half = np.ones(40, bool), sides == 0
    found = compare_with_controls(
        everything, drawn=half, fixed=~everything, sides=sides, scenes=scenes
    )
    assert found.value == 0.5


def test_answer_ids_are_the_tokens_of_the_answers(planted, pairs):
    tokens = np.array([planted.answer_id(t.prompt, t.answer) for t in pairs])
    words = [t.answer for t in pairs]
    assert planted.tokenizer.convert_ids_to_tokens(tokens.tolist()) == words
    assert read_words(planted, tokens).tolist() == words
    other = planted.tokenizer.convert_tokens_to_ids("square")
    assert read_words(planted, np.array([[other]])).tolist() == [[""]]


# Rival explanations, on controls whose own explanation is known

STAGED = ("id_selection", "feature_retrieval")


def test_on_planted_the_place_in_the_group_leads_every_rival(of):
    assert Transplant(of(TRANSPLANT, "planted", 48)).lead_over_rivals().interval(0.95)[0] > 0
    assert Keys(of(KEYS, "planted", 48)).lead_over_rivals().interval(0.95)[0] > 0
    steering = Steering(of(STEERING_DRAWN, "planted", 48))
    for stage in CONDITIONS:
        assert steering.lead_over_rivals(stage).interval(0.95)[0] > 0


def test_on_planted_absolute_the_place_in_the_image_leads_every_rival(of):
    read = Transplant(of(TRANSPLANT, "planted-absolute", 48))
    assert read.lead_over_rivals(explanation="absolute").interval(0.95)[0] > 0
    assert read.lead_over_rivals().interval(0.95)[1] < 0
    assert read.best_rival() == "absolute"


def test_on_shortcut_content_leads_every_rival(of):
    """That nothing happened says the same as content does, and is not a rival of it."""
    over = ("relative", "absolute", "ordinal", "copying")
    keys, transplant = Keys(of(KEYS, "shortcut", 48)), Transplant(of(TRANSPLANT, "shortcut", 48))
    assert keys.lead_over_rivals(explanation="content", over=over).interval(0.95)[0] > 0
    assert keys.lead_over_rivals().interval(0.95)[1] < 0
    # It has no head whose ID could be transplanted.
    nothing = transplant.lead_over_rivals()
    assert (nothing.value, nothing.settled) == (None, True)
    assert "no head selects an ID" in nothing.reason


@pytest.mark.parametrize("stage", STAGED)
def test_scenes_of_three_objects_tell_position_ids_from_copied_words(of, stage):
    """In a pair the object on the other side is the one whose color the prompt has."""
    read = Steering(of(STEERING_DRAWN, "planted", 48))
    for rival in ("copying", "ordinal"):
        lead = read.lead_over_rivals(stage, over=[rival])
        assert (lead.value, lead.n) == (1, 48)


def test_an_edit_at_the_mention_does_not_tell_position_ids_from_copied_words(of):
    read = Steering(of(STEERING_DRAWN, "planted", 48))
    assert not read.lead_over_rivals("id_retrieval", over=["copying"]).applies


# What judges is apart from what ranked heads, and from heads that matter


@pytest.mark.parametrize("experiment", [STEERING_DRAWN, KEYS], ids=lambda e: e.name)
def test_no_judged_scene_ranked_the_heads_that_are_edited(of, experiment):
    mediation = of(find_experiment("mediation"), "planted", 24)
    stages = CONDITIONS if experiment is STEERING_DRAWN else ["feature_retrieval"]
    ranked = list_ranked_scenes(mediation, stages)
    judged = of(experiment, "planted", 48)
    assert ranked
    assert not ranked & {*judged.scene.values.tolist(), *judged.asked_scene.values.tolist()}


def test_heads_that_matter_are_those_that_were_planted(of):
    mediation = of(find_experiment("mediation"), "planted", 24)
    found = find_heads_that_matter(mediation)
    plan = PLANS["planted"]
    stages = (plan.retrieval, plan.selection, plan.features)
    assert found == {(stage.layer, head) for stage in stages for head in stage.heads}


def test_heads_of_each_trial_are_pushed_in_that_trial_only():
    push = Push("id_selection", (), 2.0, (((0, 1),), ((2, 0), (2, 1)), ()))
    assert push.edited == ((0, 1), (2, 0), (2, 1))
    chosen = push.select(layers=3, heads=2)
    assert chosen.shape == (3, 3, 1, 2, 1)
    assert chosen.squeeze().nonzero().tolist() == [[0, 0, 1], [2, 1, 0], [2, 1, 1]]


def test_a_push_that_names_its_heads_trial_by_trial_is_the_push_of_these_heads(planted, pairs):
    pushes = Pushes(planted, ["id_selection"], pairs)
    heads = ((4, 2), (4, 3))
    plain, own, none = pushes.said(
        pairs,
        [
            Push("id_selection", heads, 5.0),
            Push("id_selection", (), 5.0, (heads,) * len(pairs)),
            Push("id_selection", (), 5.0, ((),) * (len(pairs) - 1) + (heads,)),
        ],
    )
    before = find_answers(planted, pairs)[0]
    assert plain.tolist() == own.tolist() != before.tolist()
    assert none.tolist() == [*before[:-1], plain[-1]]
