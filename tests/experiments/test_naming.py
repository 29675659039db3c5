"""Objects that answers name, in the words of published models and of the embedded subjects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiments.naming import (
    SHAPE_SYNONYMS,
    Named,
    Scoring,
    name_objects,
    read_object,
    tells_shapes,
)
from harness.stimuli.design import draw_entropy_trials
from harness.stimuli.scene import COLORS, SHAPES
from harness.subjects.loading import load
from harness.subjects.registry import read_registry

CROWDED, BY_COLOR = Scoring(shapes=True), Scoring(shapes=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red square plane plane", ("red", "square")),
        ("red square.", ("red", "square")),
        (" Red Square", ("red", "square")),
        ("RED SQUARE", ("red", "square")),
        ("The **red square**.", ("red", "square")),
        ("[red] [square]", ("red", "square")),
        ("a red\nsquare", ("red", "square")),
        ("red-square", ("red", "square")),
        ("Grey Airplane.", ("gray", "plane")),
        ("red heart-shaped object", ("red", "heart")),
        ("Red. The shape is a square", ("red", "square")),
        ("black light bulb", ("black", "sun")),
        ("orange X", ("orange", "cross")),
        ("blue rectangle and a red circle", ("blue", "square")),
        ("red, blue square", ("red", "")),
        ("red", ("red", "")),
        ("red object", ("red", "")),
        ("square", ("", "")),
        ("rojo cuadrado", ("", "")),
        ("redder squares", ("", "")),
        ("", ("", "")),
    ],
)
def test_color_and_shape_are_read_in_any_spelling(text, expected):
    assert read_object(text) == expected


@given(
    st.sampled_from(list(COLORS)),
    st.sampled_from([*SHAPES, *(v for of in SHAPE_SYNONYMS.values() for v in of)]),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from(["{}", "the {}.", "**{}**", "\n{} and a red circle", "a {}</s>"]),
)
def test_what_stands_around_an_object_does_not_change_what_is_read(color, shape, case, around):
    said = read_object(around.format(case(f"{color} {shape}")))
    assert said.color == color
    assert said.shape in SHAPES
    assert shape in (said.shape, *SHAPE_SYNONYMS.get(said.shape, ()))


def test_a_right_color_with_a_wrong_shape_is_a_wrong_object():
    trial = draw_entropy_trials(
        load(read_registry()["planted"]).grids[3], "low", 1, np.random.default_rng(0)
    )
    color, shape = trial[0].target.color, trial[0].target.shape
    other = next(s for s in SHAPES if s != shape)
    answers = [Named(color, shape), Named(color, other), Named(color, ""), Named("", "")]
    assert (CROWDED.label(answers) == CROWDED.label_targets(trial)).tolist() == [True] + [False] * 3
    assert (BY_COLOR.label(answers) == BY_COLOR.label_targets(trial)).tolist() == [True] * 3 + [
        False
    ]


def test_shapes_are_scored_where_most_colors_are_followed_by_one():
    said, silent = Named("red", "square"), Named("red", "")
    assert tells_shapes([said, said, silent, Named("", "")])
    assert not tells_shapes([said, silent, silent])
    assert not tells_shapes([Named("", "")])


def test_a_cell_that_was_not_decoded_names_nothing():
    trials = draw_entropy_trials(
        load(read_registry()["planted"]).grids[3], "low", 2, np.random.default_rng(0)
    )
    assert CROWDED.label_cells(trials, np.array([-1, 0]))[0] == ""
    assert CROWDED.label_cells(trials, np.array([-1, 0]))[1] != ""


@pytest.mark.parametrize(("name", "said"), [("tiny-llava", True), ("planted", False)])
def test_trained_subjects_say_shapes_and_controls_do_not(name, said):
    subject = load(read_registry()[name])
    trials = draw_entropy_trials(subject.grids[3], "high", 16, np.random.default_rng(0))
    named = name_objects(subject, trials)
    assert tells_shapes(named) == said
    right = Scoring(said).label(named) == Scoring(said).label_targets(trials)
    assert right.mean() > 0.7
