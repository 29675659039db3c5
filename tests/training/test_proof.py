"""Every scene is enumerated once, and each check of a proof fails on weights that lack what it is about."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.main import main
from harness.cli.prove import render
from harness.machine.files import FIXTURES
from harness.stimuli import contrast
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, Grid, Scene
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.training.architectures import Untrained
from harness.training.proof import checks, scenes
from harness.training.proof.passes import Passes
from harness.training.proof.places import find_leads, list_codes
from harness.training.proof.prove import PROVABLE, Proof, judge_without, prove
from harness.training.proof.scenes import OBJECTS, count_trials, list_families
from harness.training.taught.hooks import Hooked, replace_heads
from harness.training.wired.heads import HEAD_DIM
from harness.training.wired.plan import Stage
from harness.training.wired.plans import PLANS
from harness.training.wired.slots import at

TWO, THREE = EMBEDDED_GRIDS[2], EMBEDDED_GRIDS[3]
FOUR = OBJECTS["distinct"][:4]
"""Few objects, for speed: 144 trials."""


class Corner(Grid):
    """The 2x2 grid with nothing ever in its last cell, for speed: 72 trials of four objects."""

    @property
    def cells(self):
        return super().cells[:3]


CORNER = Corner(TWO.rows, TWO.cell, TWO.gap, TWO.margin)
PLANTED = [name for name in PROVABLE if name.startswith("planted")]
PLAN = PLANS["planted"]


@pytest.fixture(scope="module")
def control():
    loaded = {}

    def of(name):
        if name not in loaded:
            subject = load(find(name, read_registry()))
            loaded[name] = Untrained(subject.model, subject.tokenizer, subject.image_processor)
        return loaded[name]

    return of


def damage(subject, change):
    """The subject with other weights."""
    other = replace(subject, model=deepcopy(subject.model))
    with torch.no_grad():
        change(other.model)
    return other


def output_of(model, layer):
    return model.model.language_model.layers[layer].self_attn.o_proj.weight


def columns(head):
    return slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)


@pytest.mark.parametrize("grid", [TWO, THREE])
@pytest.mark.parametrize("name", OBJECTS)
def test_every_trial_of_two_objects_is_there_once(grid, name, monkeypatch):
    shown = OBJECTS[name]
    if name == "every":
        # All 81 make half a million trials; with fewer, too, a family is to describe one object alone.
        shown = shown[::8]
        monkeypatch.setattr(scenes, "ROWS", 10)
    found = [
        (t.described[0], t.target, t.scene.cells)
        for family in list_families(grid, shown)
        for t in family.trials
    ]
    wanted = {
        (*objects, cells)
        for objects in permutations(shown, 2)
        for cells in permutations(grid.cells, 2)
    }
    assert len(found) == len(set(found)) == len(wanted) == count_trials(grid, shown)
    assert set(found) == wanted


@pytest.mark.parametrize("name", OBJECTS)
def test_the_other_trials_of_a_family_are_those_of_the_contrasts(name):
    families = list(list_families(TWO, OBJECTS[name]))[:7]
    for family in families:
        for index, trial in enumerate(family.trials):
            (own,), target = trial.described, trial.target
            pair = contrast.id_retrieval(trial.scene, own, target, own)
            assert family.trials[family.exchanged[index]].scene == pair.counterfactual.scene
            assert trial.prompt == pair.clean.prompt == pair.counterfactual.prompt
            other = family.trials[family.replaced[index]].target
            assert not {other.color, other.shape} & {
                word for obj in (own, target) for word in (obj.color, obj.shape)
            }
            made = contrast.feature_retrieval(trial.scene, own, target, other)
            there = family.trials[family.replaced[index]]
            assert there.scene.key == made.counterfactual.scene.key
            assert there.prompt.text == trial.prompt.text
            strange = family.trials[family.strange[index]]
            assert strange.target not in (own, target)
            assert strange.described[0] != target
            assert (strange.described[0] == own) == (name == "every")


@given(
    st.lists(st.lists(st.floats(-3, 3), min_size=16, max_size=16), min_size=1, max_size=4),
    st.integers(0, 8),
    st.floats(0.01, 100),
)
def test_the_right_place_leads_where_it_is_the_nearest_whatever_the_length(rows, right, size):
    scene = Scene(THREE, FOUR[:2], THREE.cells[3:5])
    codes = np.repeat(list_codes(scene, True)[None], len(rows), 0)
    read = np.array(rows)
    leads, near = find_leads(read, codes, [right] * len(rows))
    again, _ = find_leads(size * read, codes, [right] * len(rows))
    assert np.allclose(leads, again, atol=1e-9)
    assert (near[leads > 0] == right).all()
    assert (near[leads < 0] != right).all()
    assert (np.abs(leads[~read.any(1)]) == 0).all()


def test_every_cell_of_a_grid_has_a_code_of_its_own():
    for grid in (TWO, THREE):
        for cells in permutations(grid.cells, 2):
            for relative in (True, False):
                codes = list_codes(Scene(grid, FOUR[:2], cells), relative)
                leads, _ = find_leads(
                    codes, np.repeat(codes[None], len(codes), 0), range(len(codes))
                )
                assert leads.min() > 0.05


@pytest.mark.parametrize("first", [0, 6, 9])
def test_a_pass_from_a_token_on_is_the_whole_pass(control, first):
    family = next(list_families(TWO, FOUR))
    passes, hooked = Passes(control("planted")), Hooked(control("planted"))
    clean = passes.read(family.trials)
    read = hooked.encode(family.trials)
    seen = hooked.run(read)
    assert torch.allclose(seen.heads[:, :, clean.image :], clean.seen.heads, atol=1e-4)
    assert torch.allclose(seen.states[:, :, clean.image :], clean.seen.states, atol=1e-4)
    assert torch.allclose(seen.states[0][:, : clean.image], clean.states, atol=1e-4)
    own = [tuple(p) for p in PLAN.truth()["heads"]["id_selection"]]
    source = seen.heads[:, family.exchanged]
    whole = hooked.run(read, replace_heads(source, lambda p: [read.last] if p in own else []))
    source = clean.seen.heads[:, family.exchanged, first:]
    last = [clean.read.last - first]
    said = passes.again(clean, first, replace_heads(source, lambda p: last if p in own else []))
    assert (said == whole.said).all()
    assert (said != seen.said).all()


def test_everything_holds_for_what_is_planted(control):
    told = []
    proof = prove(control("planted"), PLAN, TWO, FOUR, told.append)
    assert not proof.failed
    assert (proof.trials, len(proof.scenes)) == (144, 72)
    each = [f.checked for f in proof.findings.values()]
    assert each.count(144) == len(each) - 3
    assert proof.checks == sum(each) == 15 * 144 + 3
    assert "144 of 144 trials" in told[-1]


def find_failed(proof):
    return [f.name for f in proof.failed]


@pytest.mark.parametrize(("stage", "which"), list(zip(CONDITIONS, (0, 1, 0), strict=True)))
def test_a_stage_with_one_head_gone_is_caught_at_that_stage(control, stage, which):
    layer, head = checks.read_heads(PLAN)[stage][which]
    subject = damage(control("planted"), lambda m: output_of(m, layer)[:, columns(head)].zero_())
    proof = prove(subject, PLAN, CORNER, FOUR)
    name = checks.name_check(stage, checks.EACH_HEAD)
    assert name in find_failed(proof)
    assert proof.failed[0].name.startswith(checks.STAGES[stage])
    _, found = proof.findings[name].first
    assert found.startswith(f"layer {layer} head {head} ")
    assert proof.findings[name].failed == proof.findings[name].checked


def exchange(weight, rows):
    weight[rows] = weight[rows[::-1]].clone()


def find_pair(slot):
    """Where the first two colors that are shown stand in a slot."""
    return [at(slot).start + list(COLORS).index(o.color) for o in FOUR[:2]]


def exchange_seen(model):
    projector = model.model.multi_modal_projector.linear_2
    exchange(projector.weight, find_pair("seen_color"))


def exchange_retrieved(model):
    for head in PLAN.features.heads:
        exchange(output_of(model, PLAN.features.layer)[:, columns(head)], find_pair("answer_color"))


def exchange_said(model):
    weight = model.lm_head.weight
    weight[:, find_pair("answer_color")] = weight[:, find_pair("answer_color")[::-1]].clone()


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (exchange_seen, checks.SIGHT),
        (
            exchange_retrieved,
            checks.name_check("feature_retrieval", checks.OUTPUT["feature_retrieval"]),
        ),
        (exchange_said, checks.ANSWER),
    ],
)
def test_two_colors_exchanged_are_caught_where_they_are_exchanged(control, change, first):
    proof = prove(damage(control("planted"), change), PLAN, CORNER, FOUR)
    assert proof.failed[0].name == first
    trial, found = proof.failed[0].first
    assert {"red", "yellow"} & set(found.replace("'", " ").split())
    assert {trial.target.color, trial.described[0].color} & {"red", "yellow"}


@pytest.mark.parametrize(
    ("stage", "field"), list(zip(CONDITIONS, ("retrieval", "selection", "features"), strict=True))
)
def test_a_stage_that_other_heads_carry_than_is_written_is_caught(control, stage, field):
    own = getattr(PLAN, field)
    free = [h for h in (0, 1, 5, 4, 3) if (own.layer, h) not in checks.read_heads(PLAN)[stage]]
    wrong = replace(PLAN, **{field: Stage(own.layer, tuple(free[:2]))})
    failed = find_failed(prove(control("planted"), wrong, CORNER, FOUR))
    assert checks.name_check(stage, checks.OUTPUT[stage]) not in failed
    assert {
        checks.name_check(stage, what)
        for what in (checks.EACH_HEAD, checks.PATCHED, checks.OTHERS, checks.WITHOUT)
    } <= set(failed)
    assert not {f for f in failed if f.startswith(checks.SIGHT) or f == checks.ANSWER}


def test_a_head_that_matters_and_is_not_written_down_is_caught(control):
    """It lifts all colors in the image alike, so that answers are right until it comes from another scene."""

    def change(model):
        attention = model.model.language_model.layers[7].self_attn
        value, rows = attention.v_proj.weight[columns(5)], attention.o_proj.weight[:, columns(5)]
        colors = range(len(COLORS))
        value[:], rows[:] = 0, 0
        value[list(colors), [at("seen_color").start + c for c in colors]] = 1
        rows[[at("answer_color").start + c for c in colors], list(colors)] = 300

    proof = prove(damage(control("planted"), change), PLAN, CORNER, FOUR)
    failed = find_failed(proof)
    assert checks.UNWIRED in failed
    assert checks.name_check("feature_retrieval", checks.OTHERS) in failed
    for name in (checks.ANSWER, *(checks.name_check(s, checks.OUTPUT[s]) for s in CONDITIONS)):
        assert name not in failed


def test_the_shortcut_fails_by_the_stages_that_it_does_not_have(control):
    proof = prove(control("shortcut"), PLANS["shortcut"], CORNER, FOUR)
    absent = ("id_retrieval", "id_selection")
    assert proof.failed[0].name == checks.name_check(absent[0], checks.OUTPUT[absent[0]])
    for stage in absent:
        for what in (checks.OUTPUT[stage], checks.EACH_HEAD, checks.PATCHED, checks.WITHOUT):
            assert checks.name_check(stage, what) in find_failed(proof)
        assert proof.right_without[stage] == (72, 36, 36)
    assert not [name for name in find_failed(proof) if name.startswith("feature retrieval")]
    assert checks.ANSWER not in find_failed(proof)
    said = list(render(proof, PLANS["shortcut"]))
    assert "  no head is written for: ID retrieval, ID selection" in said
    first = said.index("first counterexample: " + proof.failed[0].name)
    assert said[first + 1].startswith("  2x2 grid, a red circle at row 0, column 0 and a ")
    assert said[first + 2].startswith("  the nearest place is row ")


def test_answers_that_stay_right_without_a_stage_are_counted_by_image():
    trials = [t for family in list_families(TWO, FOUR) for t in family.trials]
    images = len({t.scene.key for t in trials})
    for kept, fails in ((images // 4 - 1, False), (images // 4, True)):
        stay = set(sorted({t.scene.key for t in trials})[:kept])
        # About all other images one answer is right, as by naming one of two colors always.
        answered = [
            (t, t.scene.key in stay or t.described[0] == min(t.scene.objects)) for t in trials
        ]
        proof = Proof()
        judge_without(proof, "id_retrieval", answered)
        assert proof.right_without["id_retrieval"][1:] == (kept, images)
        assert bool(proof.failed) == fails


def test_objects_of_one_color_do_not_show_that_a_stage_is_needed():
    crowded = OBJECTS["crowded"]
    trials = [t for family in list_families(TWO, crowded) for t in family.trials]
    alike = [t for t in trials if t.target.color == t.described[0].color]
    proof = Proof()
    judge_without(proof, "id_retrieval", [(t, t in alike) for t in trials])
    assert alike
    assert not proof.failed
    assert proof.right_without["id_retrieval"][0] == len(alike)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setitem(OBJECTS, "distinct", FOUR)


def test_the_command_says_that_all_is_proved(few, capsys):
    assert main(["prove", "planted"]) == 0
    said = capsys.readouterr().out
    assert "72 scenes with two prompts each, 144 trials" in said
    assert "proved: all of it holds for each of the 144 trials" in said
    assert f"{15 * 144 + 3} checks" in said
    assert "FAILED" not in said
    assert "counterexample" not in said


def test_the_command_prints_the_first_counterexample(few, capsys):
    folder = str(FIXTURES / "controls" / "shortcut")
    assert main(["prove", "planted", "--weights", folder]) == 1
    said = capsys.readouterr().out
    assert "proved: all" not in said
    first = said[said.index("first counterexample: ") :].splitlines()
    assert first[0].endswith(
        "ID retrieval: the mention holds the place of the object that it names"
    )
    assert first[1].startswith("  2x2 grid, a red circle at row ")
    assert first[2].startswith("  the nearest place is row ")


@pytest.mark.parametrize(
    "name",
    ["taught", "tiny-llava", "untrained", "planted-qwen", "idle-ids", "qwen2-vl-7b", "./folder"],
)
def test_the_command_refuses_what_has_no_written_truth_by_name(name, capsys):
    assert main(["prove", name]) == 2
    said = capsys.readouterr().err
    assert f"{name} has no written truth" in said
    assert "planted-absolute" in said


@pytest.mark.deep
@pytest.mark.parametrize("name", PLANTED)
def test_everything_holds_on_every_scene_that_the_claims_show_a_control_two_objects_of(
    control, name
):
    proof = prove(control(name), PLANS[name], TWO, OBJECTS["distinct"])
    assert not proof.failed
    assert (proof.trials, len(proof.scenes), proof.checks) == (864, 432, 12963)
