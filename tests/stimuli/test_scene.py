import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli.draw import draw_array
from harness.stimuli.scene import (
    COLORS,
    EMBEDDED_GRIDS,
    PAPER_GRIDS,
    SHAPES,
    Cell,
    Object,
    Scene,
)

GRIDS = st.sampled_from([*PAPER_GRIDS.values(), *EMBEDDED_GRIDS.values()])
OBJECTS = st.builds(Object, st.sampled_from(list(COLORS)), st.sampled_from(list(SHAPES)))


@st.composite
def scenes(draw):
    grid = draw(GRIDS)
    cells = draw(st.lists(st.sampled_from(grid.cells), min_size=1, unique=True))
    objects = draw(st.lists(OBJECTS, min_size=len(cells), max_size=len(cells), unique=True))
    return Scene(grid, tuple(objects), tuple(cells))


def test_canvases_have_the_papers_sizes():
    assert {n: g.canvas for n, g in PAPER_GRIDS.items()} == {2: 280, 3: 392}
    assert {g.canvas for g in EMBEDDED_GRIDS.values()} == {112}


def test_a_paper_cell_covers_the_tokens_of_the_protocol():
    # Cell i covers token rows and columns 2+4i and 3+4i of a 10x10 grid.
    assert PAPER_GRIDS[2].tokens(Cell(1, 0), 10) == (62, 63, 72, 73)


@pytest.mark.parametrize("rows", [2, 3])
def test_embedded_objects_cover_whole_tokens_with_empty_ones_between(rows):
    grid = EMBEDDED_GRIDS[rows]
    covered = {cell: set(grid.tokens(cell, 8)) for cell in grid.cells}
    assert all(len(tokens) == 4 for tokens in covered.values())
    places = {cell: {divmod(t, 8) for t in tokens} for cell, tokens in covered.items()}
    for a in grid.cells:
        for b in grid.cells:
            if a < b:
                nearest = min(
                    max(abs(r - s), abs(c - d)) for r, c in places[a] for s, d in places[b]
                )
                assert nearest >= 2


@given(scenes())
def test_pixels_are_where_the_scene_says(scene):
    pixels = draw_array(scene)
    ink = (pixels != 255).any(-1)
    for cell in scene.grid.cells:
        left, top, right, bottom = scene.grid.box(cell)
        assert ink[top:bottom, left:right].any() == (scene.at(cell) is not None)
        ink[top:bottom, left:right] = False
    assert not ink.any()


@given(scenes())
def test_an_object_shows_its_color(scene):
    obj, cell = scene.objects[0], scene.cells[0]
    left, top, right, bottom = scene.grid.box(cell)
    patch = draw_array(scene)[top:bottom, left:right].reshape(-1, 3)
    assert (patch == COLORS[obj.color]).all(-1).any()


@given(scenes())
def test_the_same_scene_gives_the_same_pixels_and_key_in_any_order(scene):
    turned = Scene(scene.grid, scene.objects[::-1], scene.cells[::-1])
    assert scene.key == turned.key
    assert np.array_equal(draw_array(scene), draw_array(turned))


@given(scenes())
def test_swapping_twice_changes_nothing(scene):
    if len(scene) > 1:
        a, b = scene.objects[:2]
        once = scene.swapped(a, b)
        assert once.cell_of(a) == scene.cell_of(b)
        assert once.key != scene.key
        assert once.swapped(a, b).key == scene.key


def test_all_shapes_look_different():
    grid = EMBEDDED_GRIDS[2]
    images = [
        draw_array(Scene(grid, (Object("red", s),), (Cell(0, 0),))).astype(int) for s in SHAPES
    ]
    for i, a in enumerate(images):
        for b in images[i + 1 :]:
            assert (np.abs(a - b).max(-1) > 128).sum() > 30


def test_the_pixels_have_not_changed():
    # Embedded subjects were trained on these pixels; another renderer would make another stimulus set.
    import hashlib

    grid = EMBEDDED_GRIDS[3]
    objects = tuple(Object(c, s) for c, s in zip(COLORS, SHAPES, strict=True))
    digest = hashlib.sha256(draw_array(Scene(grid, objects, grid.cells)).tobytes()).hexdigest()
    assert digest == "aee056fe7f2a15ac882c0d8ce77ad6e44cc4f58704f3e84709974b6cb00f70b5"


@pytest.mark.parametrize(
    ("objects", "cells", "complaint"),
    [
        (("red square",), (Cell(0, 0), Cell(0, 1)), "1 objects for 2 cells"),
        (("red square", "blue circle"), (Cell(0, 0), Cell(0, 0)), "two objects in one cell"),
        (("red square",), (Cell(2, 0),), "not on a 2x2 grid"),
    ],
)
def test_impossible_scenes_are_refused(objects, cells, complaint):
    with pytest.raises(ValueError, match=complaint):
        Scene(PAPER_GRIDS[2], tuple(map(Object.named, objects)), cells)


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="unknown color 'mauve'"):
        Object("mauve", "square")
