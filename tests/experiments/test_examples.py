"""Trials that are kept in words can be drawn again, and are the first ones that were asked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.experiments.examples import COUNT, describe_scene, describe_trials, keep_examples
from harness.reporting.scenes import read_scene, read_trials
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.questions import draw_color_questions, draw_side_pairs
from harness.stimuli.scene import EMBEDDED_GRIDS, PAPER_GRIDS, Photo, Scene


def draw_trials(grids, rng):
    """Trials of three kinds: shapes, solids on textured ground, more objects."""
    objects = HIGH_ENTROPY[3]
    return [
        *draw_color_questions(grids[2], objects, 4, rng),
        *draw_side_pairs(grids[2], objects, 4, rng, solids=True),
        *draw_balanced_trials(grids[3], objects, 9, rng),
    ]


@pytest.mark.parametrize("grids", [EMBEDDED_GRIDS, PAPER_GRIDS], ids=["embedded", "paper"])
def test_a_scene_is_the_same_after_it_was_written_down(grids):
    for trial in draw_trials(grids, np.random.default_rng(0)):
        written = json.loads(json.dumps(describe_scene(trial.scene)))
        again = read_scene(written)
        assert again == trial.scene
        assert again.key == trial.scene.key


def test_the_first_trials_are_kept_with_all_that_was_answered():
    trials = draw_trials(EMBEDDED_GRIDS, np.random.default_rng(1))
    said = np.array([f"word{n}" for n in range(len(trials))])
    attributes = keep_examples(describe_trials(trials, {"as it is": said, "edited": said[::-1]}))
    shown = read_trials(attributes["examples"])
    assert [t.prompt for t in shown] == [t.prompt.text for t in trials[:COUNT]]
    assert [t.right for t in shown] == [t.answer for t in trials[:COUNT]]
    last = len(trials) - 1
    wanted = [(("as it is", f"word{n}"), ("edited", f"word{last - n}")) for n in range(COUNT)]
    assert [t.answers for t in shown] == wanted
    assert all(t.images[0].source.startswith("data:image/png;base64,") for t in shown)


def test_what_is_kept_of_a_measurement_is_small():
    trials = draw_trials(PAPER_GRIDS, np.random.default_rng(2))
    said = np.array([t.answer for t in trials])
    kept = keep_examples(describe_trials(trials, {"as it is": said, "edited": said}))
    assert len(kept["examples"]) < 4000


def test_a_photograph_is_named_and_neither_kept_nor_shown():
    trial = draw_color_questions(EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 1, np.random.default_rng(0))[0]
    scene = Scene(
        trial.scene.grid, trial.scene.objects, trial.scene.cells, Photo("ab" * 32, "/x.jpg")
    )
    written = json.dumps(describe_scene(scene))
    assert "/x.jpg" not in written
    row = {"group": "", "scenes": [json.loads(written)], "prompt": "p", "right": "r", "answers": {}}
    [shown] = read_trials(json.dumps([row]))
    assert shown.images[0].source == ""
    assert shown.images[0].text.startswith("a photograph of ")


@pytest.mark.parametrize("damaged", ["", "[", "{}", '[{"group": 1}]', "[3]", '[{"scenes": [{}]}]'])
def test_damaged_examples_are_none(damaged):
    assert read_trials(damaged) == []
