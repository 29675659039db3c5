"""Interventions move what was planted, and nothing where nothing was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from harness.experiments.catalogue import find_experiment
from harness.experiments.editing import (
    average_by_label,
    draw_matched_heads,
    edit_heads,
    find_answers,
    find_last_token,
    read_words,
)
from harness.measuring.experiment import Request
from harness.readings.exchange import compare_with_controls
from harness.readings.visual_symbols.blocks import Blocks
from harness.readings.visual_symbols.keys import Keys
from harness.readings.visual_symbols.steering import Steering
from harness.readings.visual_symbols.transplant import Transplant
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.questions import draw_side_pairs
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.tracing.capture import capture, read_edited_logits, read_last_logits
from harness.tracing.edit import Edit

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
    assert read.specific(stage).interval(0.95)[0] > 0.3
    assert read.data.before.mean() < 0.05


@pytest.mark.parametrize("stage", CONDITIONS[:2])
def test_steering_a_subject_without_position_ids_swaps_nothing(of, stage):
    assert Steering(of(STEERING_DRAWN, "shortcut", 48)).swapped(stage).interval(0.95)[1] < 0.6


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
    names = np.zeros((2, 3, 80), bool)
    names[0, 1] = trial % 20 == 0
    names[1, 2] = trial % 10 != 0
    read = Transplant(
        xr.Dataset(
            {
                "names": (("candidate", "k", "trial"), names),
                "scene": (("trial",), trial.astype(str)),
                "part": (("trial",), np.where(trial < 40, "estimation", "evaluation")),
            },
            {"candidate": ["relative", "absolute"], "k": [0, 2, 64]},
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
    assert keys.swapped().value == 1
    assert keys.swapped("none").value == 0
    assert keys.specific().interval(0.95)[0] > 0.5
    assert Keys(of(KEYS, "shortcut", 48)).swapped().value < 0.3


def test_without_edits_the_answer_is_the_models_own(planted, pairs):
    batch = planted.encode(pairs)
    named = read_last_logits(planted, batch).argmax(-1).tolist()
    assert find_answers(planted, pairs)[0].tolist() == planted.tokenizer.convert_ids_to_tokens(
        named
    )


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


def test_matched_heads_are_others_of_the_same_layers(planted):
    heads = [(4, 2), (4, 3), (6, 1)]
    for drawn in draw_matched_heads(heads, planted, np.random.default_rng(0), 5):
        assert not set(drawn) & set(heads)
        assert sorted(layer for layer, _ in drawn) == [4, 4, 6]


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
    exchange, hijack = np.ones(40), (sides == 0).astype(float)
    assert compare_with_controls(exchange, [hijack], sides, np.array(scenes)).value == 1
    assert compare_with_controls(hijack, [hijack], sides, np.array(scenes)).value == 0


def test_answer_ids_are_the_tokens_of_the_answers(planted, pairs):
    tokens = np.array([planted.answer_id(t.prompt, t.answer) for t in pairs])
    words = [t.answer for t in pairs]
    assert planted.tokenizer.convert_ids_to_tokens(tokens.tolist()) == words
    assert read_words(planted, tokens).tolist() == words
    other = planted.tokenizer.convert_tokens_to_ids("square")
    assert read_words(planted, np.array([[other]])).tolist() == [[""]]
