"""Rows of three items: what pairs have in common, where answers stand, and which tokens are whose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stimuli.draw import draw
from harness.stimuli.row_tokens import NoRowTokens, find_row_tokens
from harness.stimuli.rows import (
    DIRECTIONS,
    OPPOSITE,
    ROW_ITEMS,
    SETTINGS,
    ask_row,
    choose_row_grid,
    choose_shifted_grid,
    draw_row_pairs,
    draw_row_questions,
    draw_shifted_questions,
    is_across,
    list_row_questions,
    make_mirrored_pair,
    make_opposite_pair,
    make_same_pair,
    show_alone,
    show_nothing,
)

TOKENS = {
    ("llava", "embedded"): (8, 8),
    ("qwen2_vl", "embedded"): (8, 8),
    ("qwen2_vl", "paper"): (12, 12),
    ("llava", "paper"): (24, 24),
    ("gemma3", "paper"): (16, 16),
}
"""Image tokens of a row's canvas in the families whose numbers are known."""

PLACES = {
    ("qwen2_vl", "paper"): [(1, 2), (5, 6), (9, 10)],
    ("gemma3", "paper"): [(0, 2), (6, 8), (12, 14)],
    ("llava", "embedded"): [(0, 1), (3, 4), (6, 7)],
}
"""First and last line of tokens of each item (protocol of the paper, 1.2)."""

kinds = st.sampled_from(sorted(TOKENS))
directions = st.sampled_from(DIRECTIONS)
kinds_of_rows = st.sampled_from(SETTINGS)
seeds = st.integers(0, 2**16)
few = settings(max_examples=30)


@few
@given(kinds, kinds_of_rows, seeds)
def test_the_answer_stands_where_the_question_says(kind, setting, seed):
    for question in draw_row_questions(
        choose_row_grid(*kind), setting, 4, np.random.default_rng(seed)
    ):
        scene = question.trial.scene
        middle, target = (
            scene.cell_of(o) for o in (*question.trial.described, question.trial.target)
        )
        steps = {"left": (0, -1), "right": (0, 1), "above": (-1, 0), "below": (1, 0)}
        rows, columns = steps[question.direction]
        assert (target.row, target.column) == (middle.row + rows, middle.column + columns)
        assert question.items[question.place] == question.trial.target
        assert question.trial.answer == question.trial.target.color
        assert len({o.color for o in scene.objects}) == 3


@few
@given(kinds, kinds_of_rows, seeds)
def test_an_opposite_pair_moves_the_ordinal_to_one_word_and_the_answer_to_another(
    kind, setting, seed
):
    for pair in draw_row_pairs(
        make_opposite_pair, choose_row_grid(*kind), setting, 4, np.random.default_rng(seed)
    ):
        t0, t1, t2, t3, t4 = pair.items
        assert len(set(pair.words)) == 5
        assert pair.clean.trial.target == t0
        assert pair.counterfactual.trial.target == t3
        assert pair.counterfactual.direction == OPPOSITE[pair.direction]
        assert pair.clean.items[1] == pair.counterfactual.items[1] == t1
        # The clean image's item at the counterfactual's place.
        assert pair.clean.items[pair.counterfactual.place] == t2
        assert pair.counterfactual.items[pair.clean.place] == t4


@few
@given(kinds, kinds_of_rows, seeds)
def test_a_donor_of_the_same_direction_differs_in_its_outer_items_alone(kind, setting, seed):
    grid = choose_row_grid(*kind)
    opposite, same = (
        draw_row_pairs(make, grid, setting, 4, np.random.default_rng(seed))
        for make in (make_opposite_pair, make_same_pair)
    )
    for one, other in zip(opposite, same, strict=True):
        assert one.clean == other.clean
        assert one.items == other.items
        assert other.counterfactual.direction == other.direction
        assert other.counterfactual.trial.prompt.text == other.clean.trial.prompt.text
        assert other.counterfactual.trial.target == other.items[3]


@few
@given(kinds, kinds_of_rows, seeds)
def test_mirroring_twice_gives_the_same_question(kind, setting, seed):
    for pair in draw_row_pairs(
        make_mirrored_pair, choose_row_grid(*kind), setting, 4, np.random.default_rng(seed)
    ):
        assert pair.counterfactual.items == pair.clean.items[::-1]
        assert pair.counterfactual.trial.answer == pair.words[2]
        assert pair.clean.mirrored().mirrored() == pair.clean
        back = make_mirrored_pair(
            pair.clean.trial.scene.grid,
            (pair.items[2], pair.items[1], pair.items[0]),
            pair.direction,
            setting,
            pair.clean.trial.scene.setting,
        )
        assert back.key == pair.key


@pytest.mark.parametrize("setting", sorted(ROW_ITEMS))
def test_the_papers_settings_have_480_questions(setting):
    questions = list_row_questions(choose_row_grid("qwen2_vl", "paper"), setting)
    shown = {(q.trial.scene.key, q.trial.prompt.text) for q in questions}
    assert len(questions) == len(shown) == 480


def test_solids_have_no_list_of_questions():
    with pytest.raises(ValueError, match="draw them"):
        list_row_questions(choose_row_grid("llava", "embedded"), "solids")


@few
@given(kinds, directions, kinds_of_rows, seeds)
def test_a_shifted_row_begins_where_the_other_has_its_middle(kind, direction, setting, seed):
    for first, second in draw_shifted_questions(
        choose_shifted_grid(*kind), setting, 2, np.random.default_rng(seed)
    ):
        assert first.items == second.items
        assert sorted(second.trial.scene.cells)[0] == sorted(first.trial.scene.cells)[1]
        assert choose_shifted_grid(*kind).canvas == choose_row_grid(*kind).canvas


@few
@given(kinds, directions, kinds_of_rows, seeds)
def test_references_show_one_item_in_the_middle_or_nothing(kind, direction, setting, seed):
    (question,) = draw_row_questions(
        choose_row_grid(*kind), setting, 1, np.random.default_rng(seed)
    )
    alone, nothing = show_alone(question, question.items[0]), show_nothing(question)
    middle = sorted(question.trial.scene.cells)[1]
    assert list(alone) == [(question.items[0], middle)]
    assert len(nothing) == 0
    assert alone.grid == nothing.grid == question.trial.scene.grid
    assert alone.setting == nothing.setting == question.trial.scene.setting


def test_an_empty_drawing_is_white():
    (question,) = draw_row_questions(
        choose_row_grid("llava", "embedded"), "shapes", 1, np.random.default_rng(0)
    )
    assert (np.asarray(draw(show_nothing(question))) == 255).all()


@few
@given(kinds, directions)
def test_every_token_of_a_row_belongs_to_one_part(kind, direction):
    grid, (rows, columns) = choose_row_grid(*kind), TOKENS[kind]
    tokens = find_row_tokens(
        ask_row(grid, ROW_ITEMS["shapes"][:3], direction, "shapes"), (rows, columns)
    )
    held = [t for item in tokens.items for t in item]
    assert sorted([*held, *tokens.background]) == list(range(rows * columns))
    assert {len(item) for item in tokens.items} == {len(held) // 3}
    for strip, item in zip(tokens.aligned, tokens.outer, strict=True):
        assert set(item) < set(strip)
    assert not set(tokens.aligned.first) & set(tokens.aligned.last)
    assert not set(held) & {t for strip in tokens.crosswise for t in strip}
    assert len(tokens.crosswise.first) == len(tokens.aligned.first)
    assert set(tokens.items[1]) <= set(tokens.middle)


@few
@given(kinds, directions)
def test_aligned_strips_move_items_onto_each_other_and_misaligned_ones_a_token_beside(
    kind, direction
):
    grid, shape = choose_row_grid(*kind), TOKENS[kind]
    tokens = find_row_tokens(ask_row(grid, ROW_ITEMS["shapes"][:3], direction, "shapes"), shape)
    step = 1 if is_across(direction) else shape[1]
    for regions, beside in ((tokens.aligned, 0), (tokens.misaligned, 1)):
        assert len(regions.first) == len(regions.last)
        lands = dict(zip(regions.first, regions.last, strict=True))
        landed = [lands[t] for t in tokens.items[0] if t in lands]
        moved = {a - b for a, b in zip(landed, tokens.items[2], strict=False)}
        assert moved == {beside * step} or moved == {-beside * step}


@pytest.mark.parametrize("kind", sorted(PLACES))
def test_items_stand_where_the_paper_has_them(kind):
    rows, columns = TOKENS[kind]
    question = ask_row(choose_row_grid(*kind), ROW_ITEMS["shapes"][:3], "left", "shapes")
    items = find_row_tokens(question, (rows, columns)).items
    assert [(min(t % columns for t in i), max(t % columns for t in i)) for i in items] == PLACES[
        kind
    ]
    assert {(min(i) // columns, max(i) // columns) for i in items} == {PLACES[kind][1]}


def test_the_papers_strips_of_gemma_are_the_misaligned_ones():
    question = ask_row(
        choose_row_grid("gemma3", "paper"), ROW_ITEMS["shapes"][:3], "left", "shapes"
    )
    tokens = find_row_tokens(question, (16, 16))
    for regions, widths in ((tokens.misaligned, 5), (tokens.aligned, 4)):
        assert {t % 16 for t in regions.first} == set(range(widths))
    assert {t % 16 for t in tokens.aligned.last} == set(range(12, 16))
    assert {t % 16 for t in tokens.misaligned.last} == set(range(11, 16))


@few
@given(kinds, directions, seeds, st.integers(1, 16))
def test_drawn_background_holds_no_item_and_no_token_twice(kind, direction, seed, count):
    question = ask_row(choose_row_grid(*kind), ROW_ITEMS["shapes"][:3], direction, "shapes")
    tokens = find_row_tokens(question, TOKENS[kind])
    drawn = tokens.draw_background(count, np.random.default_rng(seed))
    both = [*drawn.first, *drawn.last]
    assert len(set(both)) == 2 * count
    assert set(both) <= set(tokens.background)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (None, "no grid"),
        ((4, 4), "share image tokens"),
        ((7, 7), "share image tokens|not equally many|of 7"),
    ],
)
def test_tokens_that_cannot_be_told_apart_are_refused(shape, said):
    question = ask_row(
        choose_row_grid("llava", "embedded"), ROW_ITEMS["shapes"][:3], "left", "shapes"
    )
    with pytest.raises(NoRowTokens, match=said):
        find_row_tokens(question, shape)


def test_more_background_than_there_is_is_refused():
    question = ask_row(
        choose_row_grid("llava", "embedded"), ROW_ITEMS["shapes"][:3], "left", "shapes"
    )
    with pytest.raises(NoRowTokens, match="there are 52"):
        find_row_tokens(question, (8, 8)).draw_background(27, np.random.default_rng(0))
