"""Every mechanism is planted where truth.json says, and nowhere else."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from harness.cli.main import main
from harness.experiments.answers import check_answers_right
from harness.experiments.catalogue import MEDIATION
from harness.measuring.experiment import measure_alone
from harness.readings.visual_symbols.mediation import Mediation
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.design import HIGH_ENTROPY, LOW_ENTROPY, PCA_CELLS, draw_balanced_trials
from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, SHAPES, Cell, Object, Scene
from harness.subjects.loading import load
from harness.subjects.registry import FIXTURES, find, read_registry
from harness.tracing.capture import capture
from harness.training.wired.heads import HEAD_DIM, Match, WiredHead, install, signs, weigh_group
from harness.training.wired.plans import PLANS
from harness.training.wired.shipping import write_control
from harness.training.wired.slots import EDGES, SLOTS, WIDTH, at, read_constant, read_slot

CONTROLS = FIXTURES / "controls"
PLANTED = [
    name for name, p in PLANS.items() if name.startswith("planted") and "ordering" not in p.truth()
]
"""Those that do the task of the first paper."""
BUILT = [
    pytest.param(name, marks=pytest.mark.deep) if name == "planted-both" else name for name in PLANS
]
"""All controls; what takes long in one is what is already built in another."""
TWO, THREE = EMBEDDED_GRIDS[2], EMBEDDED_GRIDS[3]


@pytest.fixture(scope="module")
def control():
    loaded = {}

    def of(name):
        if name not in loaded:
            registry = read_registry()
            loaded[name] = load(find(name if name in registry else str(CONTROLS / name), registry))
        return loaded[name]

    return of


def trials_of(grid, count, rng, trials=60):
    """Trials about `count_trials` objects at random cells, of any colors and shapes that they do not share."""
    drawn = []
    for _ in range(trials):
        kinds = zip(rng.permutation(list(COLORS)), rng.permutation(list(SHAPES)), strict=True)
        objects = tuple(Object(str(c), str(s)) for c, s in kinds)[:count]
        cells = tuple(grid.cells[i] for i in rng.permutation(len(grid.cells))[:count])
        scene = Scene(grid, objects, cells)
        described, target = objects[1:], objects[0]
        drawn.append(Trial(scene, scene_description(described, target), described, target))
    return drawn


SOLVED = (
    "vision_tower.encoder.layers.0.mlp.fc2.",
    "multi_modal_projector.linear_1.weight",
    "visual.blocks.1.mlp.fc2.",
    "visual.blocks.3.mlp.fc1.weight",
    "visual.merger.mlp.",
)
"""Weights that are fitted or measured: they differ in the last bits from one library to another."""

FREE = "visual.merger.mlp.2."
"""Of this fit processors find other solutions, since it is nearly free in some directions."""


@pytest.mark.parametrize("name", BUILT)
def test_what_ships_is_what_the_plan_builds_bit_by_bit_but_for_what_is_fitted(name, tmp_path):
    write_control(PLANS[name], tmp_path)
    stored, built = (load_file(f / "model.safetensors") for f in (CONTROLS / name, tmp_path))
    assert stored.keys() == built.keys()
    for key, value in stored.items():
        if key.startswith(FREE):
            assert (built[key] - value).norm() <= 1e-2 * value.norm(), key
        elif key.startswith(SOLVED):
            assert torch.allclose(built[key], value, rtol=1e-2, atol=1e-3), key
        else:
            assert torch.equal(built[key], value), key
    for file in ("README.md", "truth.json"):
        assert (tmp_path / file).read_bytes() == (CONTROLS / name / file).read_bytes()


@pytest.mark.parametrize("name", PLANS)
def test_truth_json_is_what_the_plan_says(name):
    truth = json.loads((CONTROLS / name / "truth.json").read_text())
    assert truth == json.loads(json.dumps(PLANS[name].truth()))


def test_the_command_writes_a_control_that_loads(tmp_path, capsys):
    assert main(["train", "planted-elsewhere", "--out", str(tmp_path / "made")]) == 0
    assert f"written to {tmp_path / 'made'}" in capsys.readouterr().out
    made = load(find(str(tmp_path / "made"), read_registry()))
    drawn = trials_of(TWO, 2, np.random.default_rng(1), trials=20)
    assert check_answers_right(made, drawn).mean() >= 0.95
    assert "layer 3 head 7" in (tmp_path / "made" / "README.md").read_text()


@pytest.mark.parametrize("options", [("--seed", "5"), ("--smoke",)])
def test_options_of_training_are_refused_for_a_control(tmp_path, capsys, options):
    assert main(["train", "planted", *options, "--out", str(tmp_path / "made")]) == 2
    assert "planted is a control" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_the_planted_heads_are_elsewhere_in_planted_elsewhere():
    here, there = (PLANS[n].truth()["heads"] for n in ("planted", "planted-elsewhere"))
    for stage in here:
        assert not {tuple(h) for h in here[stage]} & {tuple(h) for h in there[stage]}
        assert {la for la, _ in here[stage]} != {la for la, _ in there[stage]}


@pytest.mark.deep
@pytest.mark.parametrize("name", [*PLANTED, "shortcut"])
@pytest.mark.parametrize(("grid", "count"), [(TWO, 2), (TWO, 3), (TWO, 4), (THREE, 2), (THREE, 9)])
def test_controls_do_the_task(control, name, grid, count):
    drawn = trials_of(grid, count, np.random.default_rng(count))
    # With nine objects each place is an eighth of what is selected, and many answers drown in the idle noise.
    assert check_answers_right(control(name), drawn).mean() >= (0.6 if count == 9 else 0.95)


@pytest.mark.parametrize("name", [*PLANTED, "shortcut"])
def test_controls_do_the_task_on_the_scenes_of_figure_1b(control, name):
    drawn = draw_balanced_trials(
        THREE, HIGH_ENTROPY[3], 60, np.random.default_rng(0), cells=PCA_CELLS
    )
    # With six objects the control with absolute places looks up a place twice, and may err twice.
    assert check_answers_right(control(name), drawn).mean() >= (0.7 if "absolute" in name else 0.95)


@pytest.mark.parametrize("name", ["planted", "planted-qwen", "planted-gemma"])
def test_binding_by_position_tells_objects_apart_that_share_features(control, name):
    drawn = draw_balanced_trials(TWO, LOW_ENTROPY[2], 60, np.random.default_rng(0))
    assert check_answers_right(control(name), drawn).mean() >= 0.95


def test_the_unbound_control_fails_the_task(control):
    drawn = trials_of(TWO, 2, np.random.default_rng(0))
    assert check_answers_right(control("unbound"), drawn).mean() <= 0.05


@pytest.mark.parametrize("name", ["planted", "planted-qwen", "planted-gemma"])
@pytest.mark.parametrize("grid", [TWO, THREE])
def test_every_object_is_seen_in_every_cell(control, grid, name):
    subject = control(name)
    kinds = [Object(c, s) for c, s in product(COLORS, SHAPES)]
    size = len(grid.cells)
    for start in range(0, len(kinds), 5):
        shown = tuple(kinds[(start + i) % len(kinds)] for i in range(size))
        scene = Scene(grid, shown, grid.cells)
        trial = Trial(scene, scene_description(shown[1:], shown[0]), shown[1:], shown[0])
        batch = subject.encode([trial])
        image = batch.inputs["inputs_embeds"][0, batch.image_start[0] :]
        for obj, cell in scene:
            for token in grid.tokens(cell, 8):
                colors, shapes = (image[token, at(s)] for s in ("seen_color", "seen_shape"))
                assert colors.argmax() == list(COLORS).index(obj.color)
                assert shapes.argmax() == list(SHAPES).index(obj.shape)
                assert colors.max() > 0.9 > 0.1 > colors.sort().values[-2]
                assert image[token, at("seen_object")] > 0.9


def places(subject, cells):
    """The place code of each of two objects on the 3x3 grid."""
    red, blue = Object("red", "star"), Object("blue", "heart")
    scene = Scene(THREE, (red, blue), cells)
    batch = subject.encode([Trial(scene, scene_description((blue,), red), (blue,), red)])
    image = batch.inputs["inputs_embeds"][0, batch.image_start[0] :]
    return [image[list(THREE.tokens(c, 8))][:, at("seen_place")].mean(0) for c in cells]


def test_places_are_relative_to_the_objects_or_to_the_image(control):
    corner, moved = (Cell(0, 0), Cell(0, 1)), (Cell(1, 1), Cell(1, 2))
    for name in ("planted", "planted-qwen", "planted-gemma"):
        here, there = (places(control(name), cells) for cells in (corner, moved))
        # Half of each object lies on an edge of the code here, where rounding decides part of a step.
        assert torch.allclose(torch.stack(here), torch.stack(there), atol=0.2)
    here, there = (places(control("planted-absolute"), cells) for cells in (corner, moved))
    assert not torch.allclose(torch.stack(here), torch.stack(there), atol=0.4)


@pytest.mark.parametrize("name", ["planted", "planted-qwen", "planted-gemma"])
@pytest.mark.parametrize(("grid", "count"), [(TWO, 2), (TWO, 3), (THREE, 5)])
def test_places_say_where_a_token_is_from_the_middle_of_all_objects(control, name, grid, count):
    subject = control(name)
    steps = np.arange(8) - 3.5
    where = np.stack([np.tile(steps, 8), np.repeat(steps, 8)])
    for trial in trials_of(grid, count, np.random.default_rng(3), trials=8):
        batch = subject.encode([trial])
        image = batch.inputs["inputs_embeds"][0, batch.image_start[0] :][:64]
        own = [list(grid.tokens(cell, 8)) for _, cell in trial.scene]
        far = where - where[:, np.concatenate(own)].mean(1, keepdims=True)
        beyond = far[..., None] - np.array(EDGES)
        expected = np.concatenate(np.where(beyond > 0, 0.5, -0.5), axis=-1)
        clear = (np.abs(np.concatenate(beyond, axis=-1)) > 0.3)[np.concatenate(own)]
        found = image[np.concatenate(own)][:, at("seen_place")].numpy()
        assert np.allclose(found[clear], expected[np.concatenate(own)][clear], atol=0.05)
        empty = sorted(set(range(64)) - set(np.concatenate(own)))
        assert image[empty][:, at("seen_place")].abs().max() < 0.05


@pytest.mark.parametrize("name", ["planted", "planted-qwen", "planted-gemma"])
def test_places_do_not_depend_on_which_object_is_there(control, name):
    subject = control(name)
    found = []
    for color, shape in [("red", "star"), ("black", "sun"), ("gray", "cross")]:
        obj, other = Object(color, shape), Object("blue", "heart")
        scene = Scene(TWO, (obj, other), (Cell(0, 0), Cell(1, 1)))
        batch = subject.encode([Trial(scene, scene_description((other,), obj), (other,), obj)])
        image = batch.inputs["inputs_embeds"][0, batch.image_start[0] :]
        found.append(image[list(TWO.tokens(Cell(0, 0), 8))][:, at("seen_place")])
    assert torch.allclose(found[0], found[1], atol=0.1)
    assert torch.allclose(found[0], found[2], atol=0.1)


@pytest.mark.deep
@pytest.mark.parametrize("name", ["planted", "planted-elsewhere", "planted-qwen", "planted-gemma"])
def test_only_the_planted_heads_mediate(control, name):
    truth = PLANS[name].truth()["heads"]
    found = Mediation(measure_alone(MEDIATION, control(name), trials=24, seed=5))
    for condition in CONDITIONS:
        scores = found.mean_scores(condition)
        planted = np.zeros(scores.shape, bool)
        planted[tuple(np.transpose(truth[condition]))] = True
        assert scores[planted].min() > 3
        # Strictly: no other head changes the answer, whatever it holds.
        assert np.abs(scores[~planted]).max() < 0.1


@pytest.mark.parametrize("name", ["planted", "planted-qwen", "planted-gemma"])
def test_a_word_finds_its_object_and_brings_back_its_place(control, name):
    subject = control(name)
    drawn = draw_balanced_trials(TWO, HIGH_ENTROPY[3], 12, np.random.default_rng(2))
    batch = subject.encode(drawn)
    ends = torch.tensor([[mention[-1] for mention in row] for row in batch.mentions])
    layer = PLANS[name].retrieval.layer
    brought = capture(subject, batch, "residual", ends, [layer])[0][..., at("retrieved_place")]
    for row, trial in enumerate(drawn):
        image = batch.inputs["inputs_embeds"][row, batch.image_start[row] :]
        for k, obj in enumerate(trial.described):
            own = list(TWO.tokens(trial.scene.cell_of(obj), 8))
            place = image[own][:, at("seen_place")].mean(0)
            assert torch.cosine_similarity(brought[row, k], place, dim=0) > 0.98


def test_slots_do_not_overlap_and_fill_the_stream():
    rows = np.concatenate([read_slot(slot) for slot in SLOTS])
    assert (rows.sum(0) <= 1).all()
    assert rows.sum() == sum(SLOTS.values()) <= WIDTH


def test_a_head_with_more_rows_than_dimensions_is_refused():
    many = Match(read_slot("seen_place"), read_slot("seen_place"), 1)
    with pytest.raises(ValueError, match="look for at most 22"):
        weigh_group([WiredHead(0, 0, looks=(many, many))])
    bring = ((read_slot("seen_place"), read_slot("seen_place")),) * 3
    with pytest.raises(ValueError, match=f"bring at most {HEAD_DIM} things"):
        weigh_group([WiredHead(0, 0, brings=bring)])


def test_two_heads_in_one_place_are_refused(control):
    head = WiredHead(
        1,
        1,
        looks=(Match(read_constant(), read_constant(), 1),),
        brings=((read_constant(), read_constant()),),
    )
    layers = PLANS["planted"].build().model.model.language_model.layers
    with pytest.raises(ValueError, match="two heads in one place"):
        install(layers, [head, head], 0.01, 0)


def test_random_signs_are_plus_and_minus_about_equally_often():
    drawn = signs((100, 100), torch.Generator().manual_seed(0))
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert abs(drawn.mean()) < 0.05
