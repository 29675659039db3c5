"""Tokens of mentions, and what linear probes read there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.experiments.halves import Halves, list_scenes
from harness.experiments.mentions import (
    TOKENS,
    capture_mentions,
    find_tokens_of_mentions,
    list_tokens,
)
from harness.experiments.probing import probe_labels
from harness.experiments.targets import number_cells, number_identities, number_mentioned_cells
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import scene_description
from harness.subjects.loading import load
from harness.subjects.registry import read_registry
from harness.tracing.capture import capture


@pytest.fixture(scope="module", params=["tiny-llava", "tiny-qwen2-vl"])
def subject(request):
    return load(read_registry()[request.param])


def draw(subject, trials=12):
    return draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], trials, np.random.default_rng(0))


def without_commas(trial):
    prompt = scene_description(trial.described, trial.target, commas=False)
    return replace(trial, prompt=prompt)


def test_the_tokens_of_a_mention_end_its_color_its_noun_and_its_comma(subject):
    batch = subject.encode(draw(subject))
    found = {token: find_tokens_of_mentions(batch, token) for token in TOKENS}
    for row, trial in enumerate(batch.trials):
        for slot, shown in enumerate(trial.described):
            begin = batch.mentions[row][slot][0]
            color, noun, comma = (found[t][row][slot] for t in ("color", "noun", "separator"))
            parts = [(begin, color), (color + 1, noun), (noun + 1, comma)]
            words = [
                subject.tokenizer.decode(batch.input_ids[row, a : b + 1]).strip() for a, b in parts
            ]
            assert words == [shown.color, shown.shape, ","]


def test_where_a_mention_has_no_comma_its_words_are_read(subject):
    trials = [without_commas(trial) for trial in draw(subject)]
    assert list_tokens(trials) == ("noun", "color")
    assert list_tokens(draw(subject)) == TOKENS
    assert list(capture_mentions(subject, trials)) == ["noun", "color", "last"]
    with pytest.raises(ValueError, match="no comma after it"):
        find_tokens_of_mentions(subject.encode(trials), "separator")


def test_states_of_mentions_are_those_of_their_tokens(subject):
    trials = draw(subject)
    states = capture_mentions(subject, trials)
    assert list(states) == [*TOKENS, "last"]
    batch = subject.encode(trials)
    for place, found in states.items():
        tokens = (
            [[batch.last]] * len(trials)
            if place == "last"
            else find_tokens_of_mentions(batch, place)
        )
        plain = capture(subject, batch, "residual", torch.tensor(tokens)).numpy()
        assert found == pytest.approx(plain, abs=1e-6)


def test_labels_are_numbered_by_cell_and_by_object(subject):
    trials = draw(subject, 36)
    cells = number_mentioned_cells(trials)
    assert cells.shape == (36, 3)
    # Four objects fill four cells, so that the target has the one that no mention has.
    assert (cells.sum(1) + number_cells(trials) == 6).all()
    names = [t.target.name for t in trials]
    pairs = set(zip(names, number_identities(trials).tolist(), strict=True))
    assert len(pairs) == len(set(names)) == 9


def deal(scenes, seed=0):
    return Halves.deal(np.array(scenes, dtype=str), np.random.default_rng(seed))


def test_a_code_is_read_at_the_layers_and_slots_where_it_is():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (120, 2))
    states = rng.normal(size=(3, 120, 2, 50)).astype(np.float32)
    states[1] += 4 * rng.normal(size=(4, 50))[labels]
    found = probe_labels(states, labels, deal(range(120)), rng)
    assert found.right.shape == found.chance.shape == (3, 60)
    assert found.chosen.argmax() == 1
    assert found.right.mean(1)[1] > 0.97
    assert found.right.mean(1)[[0, 2]] == pytest.approx(0.25, abs=0.15)
    assert found.chance.mean(1) == pytest.approx(0.25, abs=0.03)


def test_a_scene_is_not_learned_by_heart():
    """Trials of one scene are alike and have one label, which no other scene tells."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.arange(40), 6)
    labels = rng.integers(0, 4, 40)[scenes][:, None]
    states = rng.normal(size=(1, 40, 1, 50))[:, scenes].astype(np.float32)
    found = probe_labels(states, labels, deal(scenes), rng)
    assert found.chosen[0] < 0.5
    assert found.right.mean() < 0.5


def test_what_judges_chooses_nothing():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (60, 1))
    states = rng.normal(size=(2, 60, 1, 20)).astype(np.float32)
    halves = deal(range(60))
    first = probe_labels(states, labels, halves, np.random.default_rng(1))
    states[:, halves.second], labels[halves.second] = 7 * states[:, halves.second], 0
    again = probe_labels(states, labels, halves, np.random.default_rng(1))
    assert first.chosen.tolist() == again.chosen.tolist()


def test_in_a_single_scene_nothing_can_be_chosen(subject):
    trials = [draw(subject, 1)[0]] * 2 + [draw(subject, 2)[1]] * 2
    halves = Halves.deal(list_scenes(trials), np.random.default_rng(0))
    states = np.random.default_rng(0).normal(size=(2, 4, 1, 8)).astype(np.float32)
    found = probe_labels(states, number_cells(trials)[:, None], halves, np.random.default_rng(0))
    assert found.chosen.tolist() == [0, 0]
    assert np.isfinite(found.right).all()
