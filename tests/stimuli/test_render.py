import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli.draw import draw, draw_array
from harness.stimuli.render import render_array
from harness.stimuli.scene import (
    BACKDROPS,
    COLORS,
    EMBEDDED_GRIDS,
    PAPER_GRIDS,
    SHAPES,
    Backdrop,
    Cell,
    Object,
    Scene,
)

OBJECTS = st.builds(Object, st.sampled_from(list(COLORS)), st.sampled_from(list(SHAPES)))
SETTINGS = st.builds(Backdrop, st.sampled_from(BACKDROPS), st.integers(0, 2**31 - 1))
GRIDS = st.sampled_from([EMBEDDED_GRIDS[2], PAPER_GRIDS[2]])
SHADES = {name: COLORS[name] for name in ("red", "green", "blue")}


@st.composite
def solids(draw, smallest=1):
    grid = draw(GRIDS)
    cells = draw(st.lists(st.sampled_from(grid.cells), min_size=smallest, unique=True))
    objects = draw(st.lists(OBJECTS, min_size=len(cells), max_size=len(cells), unique=True))
    return Scene(grid, tuple(objects), tuple(cells), draw(SETTINGS))


def ground_of(scene):
    return render_array(replace(scene, objects=(), cells=()))


def changed(scene):
    """How much each pixel differs from the empty ground."""
    return np.abs(render_array(scene).astype(int) - ground_of(scene)).max(-1)


@given(solids())
def test_the_same_scene_gives_the_same_pixels_and_key_in_any_order(scene):
    turned = replace(scene, objects=scene.objects[::-1], cells=scene.cells[::-1])
    assert np.array_equal(render_array(scene), render_array(scene))
    assert np.array_equal(render_array(scene), render_array(turned))
    assert scene.key == turned.key


@given(solids())
def test_pixels_are_bytes_of_the_whole_canvas(scene):
    pixels = render_array(scene)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (scene.grid.canvas, scene.grid.canvas, 3)
    image = draw(scene)
    assert (image.mode, image.size) == ("RGB", (scene.grid.canvas,) * 2)
    assert np.array_equal(np.asarray(image), pixels)


@given(solids(), st.integers(0, 2**31 - 1))
def test_another_seed_gives_other_pixels(scene, seed):
    other = replace(scene, setting=Backdrop(scene.setting.kind, seed))
    same = seed == scene.setting.seed
    assert np.array_equal(render_array(scene), render_array(other)) == same
    assert (scene.key == other.key) == same


@given(solids())
def test_every_ground_gives_other_pixels_and_another_key(scene):
    scenes = [replace(scene, setting=Backdrop(k, scene.setting.seed)) for k in BACKDROPS]
    assert len({render_array(s).tobytes() for s in scenes}) == 3
    assert len({s.key for s in scenes} | {replace(scene, setting=None).key}) == 4


def test_drawing_a_scene_does_not_change_the_next_one():
    scene = Scene(EMBEDDED_GRIDS[2], (Object("red", "star"),), (Cell(0, 1),), Backdrop("salt", 5))
    before = render_array(scene)
    before[:] = 0
    render_array(replace(scene, objects=(Object("blue", "sun"),)))
    assert render_array(scene).any()
    assert not np.array_equal(render_array(scene), before)


def seen_color(scene):
    """The palette color nearest in hue to what a lone object changes in its cell."""
    left, top, right, bottom = scene.grid.box(scene.cells[0])
    patch = render_array(scene)[top:bottom, left:right].reshape(-1, 3).astype(float)
    weights = changed(scene)[top:bottom, left:right].reshape(-1)
    # Light and gloss add the same to all three channels.
    hue = np.average(patch, axis=0, weights=weights)
    hue = (hue - hue.min()) / (hue.max() - hue.min())
    return min(SHADES, key=lambda name: np.abs(hue - np.array(SHADES[name]) / 255).sum())


@given(
    GRIDS,
    SETTINGS,
    st.sampled_from(list(SHADES)),
    st.sampled_from(list(SHAPES)),
    st.integers(0, 3),
)
def test_an_object_is_nearest_to_its_own_color(grid, setting, color, shape, place):
    scene = Scene(grid, (Object(color, shape),), (grid.cells[place],), setting)
    assert seen_color(scene) == color


@given(solids())
def test_solids_stay_inside_the_image_and_in_their_quarter_of_it(scene):
    difference = changed(scene)
    side = scene.grid.canvas
    assert not difference[[0, -1]].any()
    assert not difference[:, [0, -1]].any()
    for cell in scene.grid.cells:
        rows, columns = (slice(i * side // 2, (i + 1) * side // 2) for i in cell)
        strong = (difference[rows, columns] > 40).any()
        assert strong == (scene.at(cell) is not None)


@given(solids(smallest=2), st.data())
def test_what_an_object_is_does_not_move_the_others(scene, data):
    place = data.draw(st.integers(0, len(scene) - 1))
    other = data.draw(OBJECTS.filter(lambda o: o not in scene.objects))
    turned = scene.replaced(scene.objects[place], other)
    different = (render_array(scene) != render_array(turned)).any(-1)
    side = scene.grid.canvas
    row, column = scene.cells[place]
    different[
        row * side // 2 : (row + 1) * side // 2, column * side // 2 : (column + 1) * side // 2
    ] = False
    assert not different.any()


@pytest.mark.parametrize("kind", BACKDROPS)
def test_solids_do_not_stand_in_the_same_place_on_every_image(kind):
    middles = []
    for seed in range(20):
        scene = Scene(
            PAPER_GRIDS[2], (Object("red", "circle"),), (Cell(1, 0),), Backdrop(kind, seed)
        )
        middles.append(np.argwhere(changed(scene) > 40).mean(0))
    reach = np.array(middles) - [PAPER_GRIDS[2].centre(Cell(1, 0))[i] for i in (1, 0)]
    assert np.abs(reach).max() < 0.25 * PAPER_GRIDS[2].cell
    assert reach.std(0).min() > 2


def test_all_shapes_look_different():
    grid, setting = EMBEDDED_GRIDS[2], Backdrop("tiles", 3)
    images = [
        render_array(Scene(grid, (Object("red", s),), (Cell(0, 0),), setting)).astype(int)
        for s in SHAPES
    ]
    for i, a in enumerate(images):
        for b in images[i + 1 :]:
            assert (np.abs(a - b).max(-1) > 60).sum() > 30


def test_flat_scenes_have_the_pixels_and_the_key_that_they_had_before_there_were_backdrops():
    grid = EMBEDDED_GRIDS[3]
    objects = tuple(Object(c, s) for c, s in zip(COLORS, SHAPES, strict=True))
    scene = Scene(grid, objects, grid.cells)
    assert scene.key == "c456d28920a608e8"
    pixels = np.asarray(draw(scene))
    assert np.array_equal(pixels, draw_array(scene))
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert digest == "aee056fe7f2a15ac882c0d8ce77ad6e44cc4f58704f3e84709974b6cb00f70b5"


def test_a_flat_scene_and_one_with_a_backdrop_look_different_and_have_different_keys():
    flat = Scene(PAPER_GRIDS[2], (Object("red", "circle"),), (Cell(0, 0),))
    solid = replace(flat, setting=Backdrop("sand", 0))
    assert flat.key != solid.key
    assert not np.array_equal(np.asarray(draw(flat)), np.asarray(draw(solid)))


def test_an_unknown_backdrop_is_refused():
    with pytest.raises(ValueError, match="unknown backdrop 'grass'; known: sand, salt, tiles"):
        Backdrop("grass", 0)
