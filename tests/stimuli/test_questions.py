import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli.design import EVERY_OBJECT, HIGH_ENTROPY, LOW_ENTROPY, draw_entropy_trials
from harness.stimuli.draw import draw_array
from harness.stimuli.prompt import NUMBERS
from harness.stimuli.questions import (
    continue_list,
    draw_color_questions,
    draw_counting_questions,
    draw_listing_scenes,
    draw_side_pairs,
    draw_side_triples,
    draw_spatial_questions,
    side_of,
)
from harness.stimuli.scene import BACKDROPS, COLORS, EMBEDDED_GRIDS, PAPER_GRIDS, Cell

NINE = HIGH_ENTROPY[3]
GRIDS = [PAPER_GRIDS, EMBEDDED_GRIDS]
SEEDS = st.integers(0, 2**32 - 1)
# In the second set most pairs of objects share a color or a shape.
SETS = st.sampled_from([NINE, LOW_ENTROPY[3]])
# Models of the paper's size are shown every color with every shape.
TRIPLES = st.sampled_from([NINE, EVERY_OBJECT])


def seeded(seed=0):
    return np.random.default_rng(seed)


def share_nothing(objects):
    colors, shapes = ({getattr(o, f) for o in objects} for f in ("color", "shape"))
    return len(colors) == len(shapes) == len(objects)


def about_equal(counts, kinds):
    numbers = [counts[k] for k in kinds]
    return max(numbers) - min(numbers) <= 1 and sum(numbers) == sum(counts.values())


# The color of a shape


@given(st.sampled_from(GRIDS), SETS, SEEDS, st.integers(1, 30))
def test_the_color_of_each_of_two_objects_is_asked_equally_often(grids, objects, seed, n):
    trials = draw_color_questions(grids[2], objects, n, seeded(seed))
    assert len(trials) == n
    assert about_equal(Counter(side_of(t.scene, t.target) for t in trials), (0, 1))
    for trial in trials:
        assert len(trial.scene) == 2
        assert share_nothing(trial.scene.objects)
        (asked,) = (o for o in trial.scene.objects if f"of the {o.shape}." in trial.prompt.text)
        assert trial.target == asked
        assert trial.answer == asked.color
        assert asked.color not in trial.prompt.text


@given(SEEDS, st.sampled_from([2, 3]))
def test_objects_side_by_side_are_in_the_outer_columns_of_one_row(seed, rows):
    for trial in draw_color_questions(PAPER_GRIDS[rows], NINE, 8, seeded(seed)):
        left, right = sorted(trial.scene.cells, key=lambda c: c.column)
        assert (left.column, right.column) == (0, rows - 1)
        assert left.row == right.row


def test_either_object_comes_first_in_either_row():
    trials = draw_color_questions(PAPER_GRIDS[2], NINE, 200, seeded())
    assert {t.scene.cells[0].row for t in trials} == {0, 1}
    assert {t.target for t in trials} == set(NINE)


# Pairs, flat and solid


@given(SETS, SEEDS, st.integers(1, 30), st.booleans())
def test_pairs_leave_out_each_side_about_equally_often(objects, seed, n, solids):
    trials = draw_side_pairs(PAPER_GRIDS[2], objects, n, seeded(seed), solids=solids)
    assert len(trials) == n
    assert about_equal(Counter(side_of(t.scene, t.target) for t in trials), (0, 1))
    for trial in trials:
        (named,) = trial.described
        assert share_nothing((named, trial.target))
        assert set(trial.scene.objects) == {named, trial.target}
        assert {c.column for c in trial.scene.cells} == {0, 1}
        assert named.name in trial.prompt.text
        assert trial.answer == trial.target.color
        assert trial.target.name not in trial.prompt.text


def test_flat_pairs_stand_on_white_side_by_side():
    for trial in draw_side_pairs(PAPER_GRIDS[2], NINE, 30, seeded(), solids=False):
        assert trial.scene.setting is None
        assert len({c.row for c in trial.scene.cells}) == 1


@given(SEEDS, st.integers(3, 30))
def test_solid_pairs_stand_on_each_ground_about_equally_often(seed, n):
    trials = draw_side_pairs(PAPER_GRIDS[2], NINE, n, seeded(seed), solids=True)
    assert about_equal(Counter(t.scene.setting.kind for t in trials), BACKDROPS)
    assert len({t.scene.setting.seed for t in trials}) == n


def test_solid_pairs_are_in_the_same_row_or_not():
    trials = draw_side_pairs(PAPER_GRIDS[2], NINE, 100, seeded(), solids=True)
    rows = Counter(tuple(c.row for c in t.scene.cells) for t in trials)
    assert set(rows) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_the_ground_does_not_tell_the_side():
    trials = draw_side_pairs(PAPER_GRIDS[2], NINE, 600, seeded(), solids=True)
    both = Counter((t.scene.setting.kind, side_of(t.scene, t.target)) for t in trials)
    assert len(both) == 6
    assert min(both.values()) > 60


# What is next to what

STEPS = {"left of": (0, -1), "right of": (0, 1), "above of": (-1, 0), "below of": (1, 0)}


def color_seen_in(pixels, grid, cell):
    """The only color of the palette in the pixels of a cell."""
    left, top, right, bottom = grid.box(cell)
    patch = pixels[top:bottom, left:right].reshape(-1, 3)
    (found,) = (name for name, rgb in COLORS.items() if (patch == rgb).all(-1).any())
    return found


@pytest.mark.parametrize("grids", GRIDS)
def test_the_answer_is_the_color_seen_in_the_named_direction(grids):
    grid = grids[3]
    for asked in draw_spatial_questions(grid, NINE, 48, seeded(1)):
        pixels = draw_array(asked.trial.scene)
        seen = {c: color_seen_in(pixels, grid, c) for c in grid.cells}
        relation, color = re.search(
            r"directly (\w+ of) (\w+) \w+\.", asked.trial.prompt.text
        ).groups()
        (at,) = (c for c, name in seen.items() if name == color)
        rows, columns = STEPS[relation]
        assert asked.trial.answer == seen[Cell(at.row + rows, at.column + columns)]
        assert relation == f"{asked.relation} of"


@given(SEEDS)
def test_questions_about_space_show_full_grids_and_name_the_reference(seed):
    for asked in draw_spatial_questions(EMBEDDED_GRIDS[3], NINE, 24, seeded(seed)):
        trial = asked.trial
        assert set(trial.scene.cells) == set(EMBEDDED_GRIDS[3].cells)
        assert set(trial.scene.objects) == set(NINE)
        (reference,) = trial.described
        assert reference.name in trial.prompt.text
        assert trial.answer == trial.target.color
        assert trial.target.name not in trial.prompt.text


def test_every_relation_and_every_cell_with_such_a_neighbour_is_asked_equally_often():
    asked = draw_spatial_questions(EMBEDDED_GRIDS[3], NINE, 2 * 24, seeded())
    places = Counter((a.relation, a.trial.scene.cell_of(a.trial.described[0])) for a in asked)
    assert Counter(relation for relation, _ in places) == dict.fromkeys(
        ("left", "right", "above", "below"), 6
    )
    assert set(places.values()) == {2}


# How many


@given(SEEDS, st.integers(6, 60))
def test_the_answer_to_how_many_is_the_number_of_objects(seed, n):
    trials = draw_counting_questions(PAPER_GRIDS[3], n, seeded(seed))
    assert about_equal(Counter(len(t.scene) for t in trials), range(3, 9))
    for trial in trials:
        assert NUMBERS.index(trial.answer) == len(trial.scene)
        assert len(set(trial.scene.objects)) == len(trial.scene)


def test_the_answer_to_how_many_can_be_counted_in_the_pixels():
    grid = EMBEDDED_GRIDS[3]
    for trial in draw_counting_questions(grid, 30, seeded()):
        ink = (draw_array(trial.scene) != 255).any(-1)
        boxes = [grid.box(c) for c in grid.cells]
        seen = sum(ink[top:bottom, left:right].any() for left, top, right, bottom in boxes)
        assert NUMBERS[seen] == trial.answer


def test_other_numbers_can_be_asked():
    trials = draw_counting_questions(PAPER_GRIDS[3], 20, seeded(), counts=(1, 9))
    assert Counter(t.answer for t in trials) == {"one": 10, "nine": 10}


# Lists


@given(SEEDS)
def test_lists_are_of_two_to_four_different_solids_on_textured_ground(seed):
    scenes = draw_listing_scenes(EMBEDDED_GRIDS[2], NINE, 9, seeded(seed))
    assert Counter(s.setting.kind for s in scenes) == dict.fromkeys(BACKDROPS, 3)
    for scene in scenes:
        assert 2 <= len(scene) <= 4
        assert len(set(scene.objects)) == len(scene)


def test_lists_have_every_length_about_equally_often_and_begin_anywhere():
    scenes = draw_listing_scenes(EMBEDDED_GRIDS[2], NINE, 300, seeded())
    lengths = Counter(map(len, scenes))
    assert set(lengths) == {2, 3, 4}
    assert min(lengths.values()) > 60
    assert {s.cells[0] for s in scenes} == set(EMBEDDED_GRIDS[2].cells)
    assert {s.objects[0] for s in scenes} == set(NINE)


@given(SEEDS, st.data())
def test_a_list_goes_on_with_what_was_not_listed(seed, data):
    (scene,) = draw_listing_scenes(EMBEDDED_GRIDS[2], NINE, 1, seeded(seed))
    count = data.draw(st.integers(0, len(scene) - 1))
    listed = data.draw(st.permutations(scene.objects))[:count]
    trial = continue_list(scene, listed)
    assert trial.target in set(scene.objects) - set(listed)
    assert trial.answer == trial.target.color
    assert trial.described == tuple(listed)
    begun = "".join(f" {i}. a {o.name}" for i, o in enumerate(listed, 1))
    assert trial.prompt.text == f"In this image there is{begun} {count + 1}. a"


def test_a_list_of_everything_begins_again():
    (scene,) = draw_listing_scenes(EMBEDDED_GRIDS[2], NINE, 1, seeded())
    assert continue_list(scene, scene.objects).target == scene.objects[0]


# Features shared or not


@pytest.mark.parametrize("rows", [2, 3])
@given(seed=SEEDS)
def test_objects_of_high_entropy_share_no_feature(rows, seed):
    for trial in draw_entropy_trials(PAPER_GRIDS[rows], "high", 6, seeded(seed)):
        assert len(trial.scene) == rows**2
        assert share_nothing(trial.scene.objects)


@pytest.mark.parametrize("rows", [2, 3])
@given(seed=SEEDS)
def test_objects_of_low_entropy_are_all_pairings_of_as_many_colors_and_shapes_as_rows(rows, seed):
    for trial in draw_entropy_trials(PAPER_GRIDS[rows], "low", 6, seeded(seed)):
        shown = trial.scene.objects
        colors, shapes = {o.color for o in shown}, {o.shape for o in shown}
        assert (len(colors), len(shapes)) == (rows, rows)
        assert {(o.color, o.shape) for o in shown} == {(c, s) for c in colors for s in shapes}
        assert len(shown) == rows**2


@pytest.mark.parametrize("entropy", ["high", "low"])
@pytest.mark.parametrize("rows", [2, 3])
def test_full_grids_ask_for_an_object_at_every_cell_and_describe_the_others(entropy, rows):
    grid = PAPER_GRIDS[rows]
    trials = draw_entropy_trials(grid, entropy, 200, seeded())
    assert {t.scene.cell_of(t.target) for t in trials} == set(grid.cells)
    for trial in trials:
        assert set(trial.scene.cells) == set(grid.cells)
        assert {*trial.described, trial.target} == set(trial.scene.objects)
        assert len(trial.described) == len(grid.cells) - 1
        assert trial.answer == trial.target.color


@pytest.mark.parametrize("entropy", ["high", "low"])
def test_small_grids_draw_many_scenes(entropy):
    trials = draw_entropy_trials(PAPER_GRIDS[2], entropy, 200, seeded())
    assert len({t.scene.key for t in trials}) > 100


def test_questions_follow_from_their_seed():
    def everything(seed):
        two, three = PAPER_GRIDS[2], PAPER_GRIDS[3]
        return [
            draw_color_questions(two, NINE, 12, seeded(seed)),
            draw_side_pairs(two, NINE, 12, seeded(seed), solids=True),
            draw_spatial_questions(three, NINE, 12, seeded(seed)),
            draw_counting_questions(three, 12, seeded(seed)),
            draw_listing_scenes(two, NINE, 12, seeded(seed)),
            draw_entropy_trials(two, "low", 12, seeded(seed)),
        ]

    assert everything(3) == everything(3)
    assert all(a != b for a, b in zip(everything(3), everything(4), strict=True))


@given(st.sampled_from(GRIDS), TRIPLES, SEEDS, st.integers(1, 30), st.booleans())
def test_in_a_triple_the_object_on_the_other_side_is_not_the_named_one(
    grids, objects, seed, n, solids
):
    trials = draw_side_triples(grids[2], objects, n, seeded(seed), solids=solids)
    assert about_equal(Counter(side_of(t.scene, t.target) for t in trials), (0, 1))
    for trial in trials:
        (named,) = trial.described
        own = side_of(trial.scene, trial.target)
        (across,) = (o for o in trial.scene.objects if side_of(trial.scene, o) != own)
        assert {trial.target, named, across} == set(trial.scene.objects)
        assert share_nothing(trial.scene.objects)
        assert trial.scene.cell_of(across).row == trial.scene.cell_of(trial.target).row
        assert across.color not in trial.prompt.text
        assert named.name in trial.prompt.text
        assert (trial.scene.setting is not None) == solids
