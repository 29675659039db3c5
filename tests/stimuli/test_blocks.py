from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli.blocks import (
    CORNERS,
    block_scene,
    draw_block_trials,
    draw_contested_transplants,
    draw_transplants,
    slot_of,
)
from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.scene import EMBEDDED_GRIDS, PAPER_GRIDS, Cell

GRID = PAPER_GRIDS[3]
NINE = HIGH_ENTROPY[3]
SEEDS = st.integers(0, 2**32 - 1)


def seeded(seed=0):
    return np.random.default_rng(seed)


def corner_of(scene):
    """The corner whose block holds all four objects, found by trying every corner."""
    (found,) = (
        corner
        for corner in CORNERS
        if {(corner[0] + r, corner[1] + c) for r, c in CORNERS} == set(scene.cells)
    )
    return found


def test_every_target_is_at_every_slot_of_every_block_equally_often():
    trials = draw_block_trials(GRID, NINE, 3 * 16, seeded())
    places = Counter((corner_of(t.scene), tuple(slot_of(t.scene, t.target))) for t in trials)
    assert places == dict.fromkeys(product(CORNERS, CORNERS), 3)


@given(SEEDS, st.integers(1, 40))
def test_places_differ_by_one_trial_at_most_whatever_the_number(seed, number):
    trials = draw_block_trials(GRID, NINE, number, seeded(seed))
    places = Counter((corner_of(t.scene), tuple(slot_of(t.scene, t.target))) for t in trials)
    counts = [places[place] for place in product(CORNERS, CORNERS)]
    assert sum(counts) == number
    assert max(counts) - min(counts) <= 1


@given(SEEDS)
def test_a_slot_is_the_cell_less_the_corner_of_the_block(seed):
    for trial in draw_block_trials(GRID, NINE, 16, seeded(seed)):
        top, left = corner_of(trial.scene)
        for obj, cell in trial.scene:
            assert slot_of(trial.scene, obj) == (cell.row - top, cell.column - left)


def test_objects_fill_a_block_in_reading_order():
    scene = block_scene(GRID, NINE[:4], (1, 0))
    assert scene.objects == NINE[:4]
    assert scene.cells == (Cell(1, 0), Cell(1, 1), Cell(2, 0), Cell(2, 1))


@given(SEEDS)
def test_the_three_others_of_a_block_are_described_and_the_target_is_asked(seed):
    for trial in draw_block_trials(GRID, NINE, 16, seeded(seed)):
        assert len(trial.scene) == 4
        assert {*trial.described, trial.target} == set(trial.scene.objects)
        assert trial.target not in trial.described
        assert len(trial.described) == 3
        assert trial.answer == trial.target.color
        assert trial.target.name not in trial.prompt.text


def test_every_object_is_a_target_and_the_words_do_not_tell_which():
    trials = draw_block_trials(GRID, NINE, 480, seeded())
    assert {t.target for t in trials} == set(NINE)
    assert len({frozenset(t.scene.objects) for t in trials}) > 100


def test_described_objects_come_in_every_order_of_slots():
    trials = draw_block_trials(GRID, NINE, 960, seeded())
    orders = Counter(tuple(slot_of(t.scene, o) for o in t.described) for t in trials)
    assert len(orders) == 24


@given(SEEDS)
def test_candidates_are_where_the_source_target_is_in_its_block_and_in_the_image(seed):
    for pair in draw_transplants(GRID, NINE, 12, seeded(seed)):
        source, recipient = pair.source, pair.recipient
        relative = slot_of(source.scene, source.target)
        assert slot_of(recipient.scene, pair.relative) == relative
        absolute = source.scene.cell_of(source.target)
        assert recipient.scene.cell_of(pair.absolute) == absolute


@given(SEEDS)
def test_both_candidates_are_unmentioned_and_differ_from_each_other_and_the_source_target(seed):
    for pair in draw_transplants(GRID, NINE, 12, seeded(seed)):
        assert len({pair.relative, pair.absolute, pair.source.target}) == 3
        for candidate in (pair.relative, pair.absolute):
            assert candidate not in pair.recipient.described
            assert candidate.name not in pair.recipient.prompt.text
        assert pair.source.target in pair.recipient.described
        assert len(pair.recipient.described) == 2


@given(SEEDS)
def test_source_and_recipient_show_the_same_four_objects_in_different_blocks(seed):
    for pair in draw_transplants(GRID, NINE, 12, seeded(seed)):
        shown = [set(t.scene.objects) for t in (pair.source, pair.recipient)]
        assert shown[0] == shown[1]
        assert len(shown[0]) == 4
        assert corner_of(pair.source.scene) != corner_of(pair.recipient.scene)


@given(SEEDS)
def test_the_source_of_a_transplant_describes_all_but_its_target(seed):
    for pair in draw_transplants(GRID, NINE, 12, seeded(seed)):
        described = pair.source.described
        assert len(described) == 3
        assert {*described, pair.source.target} == set(pair.source.scene.objects)
        assert pair.source.answer == pair.source.target.color


def test_all_ordered_pairs_of_blocks_occur_equally_often():
    pairs = draw_transplants(GRID, NINE, 5 * 12, seeded())
    couples = Counter((corner_of(p.source.scene), corner_of(p.recipient.scene)) for p in pairs)
    assert couples == {(a, b): 5 for a in CORNERS for b in CORNERS if a != b}


def test_the_source_target_of_opposite_blocks_is_in_the_middle_and_of_others_in_either_shared_cell():
    pairs = draw_transplants(GRID, NINE, 600, seeded())
    found = {}
    for pair in pairs:
        first, second = (corner_of(t.scene) for t in (pair.source, pair.recipient))
        found.setdefault((first, second), set()).add(pair.source.scene.cell_of(pair.source.target))
    for (first, second), cells in found.items():
        opposite = first[0] != second[0] and first[1] != second[1]
        assert cells == {Cell(1, 1)} if opposite else len(cells) == 2
        assert Cell(1, 1) in cells


@given(SEEDS)
def test_rivals_of_a_contested_transplant_name_five_different_objects(seed):
    for pair in draw_contested_transplants(GRID, NINE, 12, seeded(seed)):
        source, recipient = pair.source, pair.recipient
        assert slot_of(recipient.scene, pair.relative) == slot_of(source.scene, source.target)
        cell = source.scene.cell_of(source.target)
        assert recipient.scene.cell_of(pair.absolute) == cell
        assert len(source.described) == 2
        in_text = recipient.described[len(source.described)]
        (unnamed,) = set(recipient.scene.objects) - set(recipient.described)
        assert unnamed == recipient.target
        rivals = {pair.relative, pair.absolute, in_text, unnamed, source.target}
        assert len({o.color for o in rivals}) == 5
        assert len(source.scene) == 3
        assert corner_of(recipient.scene) in CORNERS


def test_contested_transplants_need_two_scenes_of_different_objects():
    with pytest.raises(ValueError, match="6 objects"):
        draw_contested_transplants(GRID, NINE[:6], 1, seeded())


@pytest.mark.parametrize("draw", [draw_block_trials, draw_transplants, draw_contested_transplants])
def test_a_seed_decides_every_draw(draw):
    for grid in (PAPER_GRIDS[3], EMBEDDED_GRIDS[3]):
        assert draw(grid, NINE, 40, seeded(7)) == draw(grid, NINE, 40, seeded(7))
        assert draw(grid, NINE, 40, seeded(7)) != draw(grid, NINE, 40, seeded(8))
