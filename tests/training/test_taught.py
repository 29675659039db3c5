"""Losses patch what hooks patch, truth is found where it is planted, and what ships has what it was taught."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.cli.main import main
from harness.machine.files import FIXTURES
from harness.stimuli.contrast import CONDITIONS
from harness.stimuli.prompt import Trial
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.training.architectures import HEADS, LAYERS, WIDTH, build
from harness.training.tasks import is_held_out
from harness.training.taught import lessons as teaching
from harness.training.taught.decoder import Decoder
from harness.training.taught.groups import LAYOUTS, PROMPTS, REPLACED, SWAPPED, draw_group
from harness.training.taught.hooks import Hooked, replace_heads
from harness.training.taught.lessons import LESSONS, OTHERS, teach
from harness.training.taught.recipes import RECIPES
from harness.training.taught.scaffold import measure_looks, measure_strays
from harness.training.taught.sheets import Clean, read_sheet, write_sheet
from harness.training.taught.shipping import find_order
from harness.training.taught.teacher import begin, learning_rate, train
from harness.training.taught.truth import measure_places, measure_stages, read_code
from harness.training.wired.plans import PLANS

CONTROLS = FIXTURES / "controls"
SHIPPED = [name for name in RECIPES if (CONTROLS / name).is_dir()]
STARTS = {recipe.start: recipe for recipe in RECIPES.values()}


def quiet(line):
    pass


@pytest.fixture(scope="module", params=sorted(STARTS))
def taught(request):
    """A recipe, its subject before the first step, and its decoder."""
    recipe = STARTS[request.param]
    subject = begin(recipe)
    return recipe, subject, Decoder(subject)


def read_layout(decoder, layout, groups=2):
    rng = np.random.default_rng(0)
    drawn = [draw_group(layout, rng) for _ in range(groups)]
    with torch.no_grad():
        return drawn, read_sheet(decoder, write_sheet(drawn, decoder.subject))


def list_trials(groups, prompt):
    """The trials of one prompt of every scene, in the order of a sheet's rows."""
    return [
        Trial(g.scenes[k], g.prompts[k][prompt], g.described[k][prompt], g.targets[k][prompt])
        for g in groups
        for k in range(len(g.scenes))
    ]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda x: f"{x.objects}-objects-{x.commas}")
def test_the_decoder_computes_what_the_model_computes(taught, layout):
    _, subject, decoder = taught
    groups, clean = read_layout(decoder, layout)
    for prompt in range(PROMPTS):
        seen = Hooked(subject)
        read = seen.encode(list_trials(groups, prompt))
        assert read.last + 1 == len(decoder.prefix) + clean.sheet.tokens
        states = seen.run(read).states[:, :, -1]
        for layer in range(LAYERS):
            ours = clean.at(layer + 1, [clean.sheet.tokens - 1])[:, prompt, 0]
            assert torch.allclose(ours, states[layer], atol=1e-3)


def test_a_lesson_answers_as_a_hooked_model_does(taught):
    recipe, subject, decoder = taught
    groups, clean = read_layout(decoder, LAYOUTS[0])
    with torch.no_grad():
        lessons = teach(decoder, clean, recipe, np.random.default_rng(0))
    hooked, trials = Hooked(subject), list_trials(groups, 0)
    read = hooked.encode(trials)
    heads = hooked.run(read).heads
    rows = np.arange(len(trials))
    for stage, other in (("id_retrieval", SWAPPED), ("feature_retrieval", REPLACED)):
        source = heads[:, rows // 4 * 4 + np.array(other)[rows % 4]]
        tokens = read.mentions[0] if stage == "id_retrieval" else [read.last]
        places = recipe.heads[stage]
        said = hooked.run(
            read,
            replace_heads(source, lambda p: tokens if p in places else []),  # noqa: B023
        ).said
        ours = lessons.logits[:, 0, LESSONS.index(stage)].argmax(-1)
        assert [hooked.words.get(i, "") for i in ours.tolist()] == said.tolist()


def test_a_lesson_wants_what_the_contrast_of_its_stage_predicts(taught):
    recipe, subject, decoder = taught
    for layout in LAYOUTS[:2]:
        groups, clean = read_layout(decoder, layout)
        with torch.no_grad():
            lessons = teach(decoder, clean, recipe, np.random.default_rng(0))
        group, row = groups[0], 0
        first, second, third, _ = group.scenes
        target, partner = group.targets[0][0], group.swapped[0][0]
        # The place that the swapped scene has for the target is where this scene has the partner.
        assert first.at(second.cell_of(target)) == partner
        assert third.at(first.cell_of(target)) == group.targets[2][0] != target
        wanted = dict(zip(LESSONS, lessons.wanted[row, 0].tolist(), strict=True))
        words = {int(subject.tokenizer.convert_tokens_to_ids(o.color)): o for o in first.objects}
        assert words[wanted["id_retrieval"]] == words[wanted["id_selection"]] == partner
        assert words[wanted[OTHERS]] == target
        third_color = subject.tokenizer.convert_tokens_to_ids(group.targets[2][0].color)
        assert wanted["feature_retrieval"] == third_color


def test_a_patch_of_nothing_changes_nothing_and_one_of_everything_gives_the_source(taught):
    _, _, decoder = taught
    _, clean = read_layout(decoder, LAYOUTS[1])
    rows, late = len(clean.sheet.ids), clean.sheet.tokens - clean.sheet.start
    where = torch.zeros(rows, PROMPTS, 1, late, LAYERS, HEADS, dtype=torch.bool)
    source = (torch.arange(rows) // 4 * 4 + torch.tensor(REPLACED)[torch.arange(rows) % 4])[
        :, None, None
    ].repeat(1, PROMPTS, 1)
    own = decoder.read(clean.at(-1, [clean.sheet.tokens - 1])[:, :, 0])
    with torch.no_grad():
        nothing = teaching.rerun(decoder, clean, where, source)[:, :, 0]
        everything = teaching.rerun(decoder, clean, ~where, source)[:, :, 0]
    assert torch.allclose(nothing, own, atol=1e-3)
    # The first prompts of the two scenes are the same words.
    assert torch.allclose(everything[:, 0], own[source[:, 0, 0], 0], atol=1e-3)


def test_strays_are_what_other_heads_bring_and_not_what_those_of_the_stage_do(taught):
    recipe, _, decoder = taught
    recipe = replace(recipe, strict=True)
    _, clean = read_layout(decoder, LAYOUTS[0])
    still = [h.detach().clone() for h in clean.read.heads]
    rows = torch.arange(len(clean.sheet.ids))
    for heads in still:  # every scene of a group gives what its first one gives
        heads.copy_(heads[rows // 4 * 4])
    same = Clean(clean.sheet, clean.seen, replace(clean.read, heads=still))
    assert measure_strays(same, recipe).tolist() == [0, 0, 0]
    for number, stage in enumerate(CONDITIONS):
        for place, stray in ((recipe.heads[stage][0], False), ((0, 7), True)):
            moved = [h.clone() for h in still]
            moved[place[0]][:, :, place[1]] += torch.randn(len(rows), 1, 16)
            found = measure_strays(
                Clean(clean.sheet, clean.seen, replace(clean.read, heads=moved)), recipe
            )
            assert (found[number] > 0) == stray


def test_a_head_that_looks_evenly_is_told_by_its_share_of_attention(taught):
    """With queries of zero every token gets the same attention, so that parts get it by their size."""
    recipe, _, decoder = taught
    _, clean = read_layout(decoder, LAYOUTS[0])
    queries = [torch.zeros_like(q) for q in clean.read.queries]
    even = Clean(clean.sheet, clean.seen, replace(clean.read, queries=queries))
    looks = measure_looks(decoder, even, recipe)
    everything = len(decoder.prefix) + clean.sheet.tokens
    covered = 4  # image tokens of an object
    assert torch.allclose(looks["feature_retrieval"], torch.tensor(covered / everything))
    assert torch.allclose(looks["gather"], torch.tensor(2 * covered / everything))
    assert torch.allclose(looks["id_selection"], torch.tensor(1 / everything))


def test_scenes_that_are_taught_are_not_held_out():
    rng = np.random.default_rng(0)
    for layout in LAYOUTS:
        for _ in range(10):
            assert not any(map(is_held_out, draw_group(layout, rng).scenes))


def test_truth_is_found_where_it_is_planted():
    subject = PLANS["planted"].build()
    subject.model.eval()
    heads = PLANS["planted"].truth()["heads"]
    found = measure_stages(subject, heads, trials=30)
    for stage in CONDITIONS:
        assert found[stage]["clean_right"] > 0.9
        assert found[stage]["follow"] > 0.9
        assert found[stage]["right_without"] < 0.75
        # All else holds the same on both sides of the contrasts.
        assert found[stage]["stay"] > 0.9
    elsewhere = {stage: [(layer, 7 - h) for layer, h in hs] for stage, hs in heads.items()}
    moved = measure_stages(subject, elsewhere, trials=30)
    assert all(moved[stage]["follow"] < 0.1 for stage in CONDITIONS)


@pytest.mark.parametrize(
    ("name", "code"), [("planted", "relative"), ("planted-absolute", "absolute")]
)
def test_places_in_the_group_are_told_from_places_in_the_image(name, code):
    subject = PLANS[name].build()
    subject.model.eval()
    found = measure_places(subject, PLANS[name].truth()["heads"], trials=30)
    assert max(found, key=lambda k: found[k]) == code
    assert found[code] > 0.6


def test_a_code_is_read_from_the_layer_on_where_it_stands_and_not_where_there_is_none():
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=(400, 1))
    states = rng.normal(size=(4, 400, 1, 20))
    states[2:, :, 0, :4] += 6 * np.eye(4)[truth[:, 0]]
    half = rng.random(400) < 0.5
    found = read_code(states, truth, half)
    assert found["onset"] == 2
    assert min(found["accuracy"][2:]) > 0.95
    assert max(found["accuracy"][:2]) < 0.45
    assert max(found["size"][:2]) < 0.02
    # Four of twenty dimensions have class means of variance 36 x 3/16 beside their own of 1.
    assert found["size"][2] == pytest.approx(27 / (27 + 20), abs=0.03)
    assert read_code(rng.normal(size=(4, 400, 1, 20)), truth, half)["onset"] is None


def test_an_order_is_told_only_where_both_codes_begin_at_different_layers():
    def begin_at(position, features):
        return find_order(
            {"position@last": {"onset": position}, "features@last": {"onset": features}}
        )

    assert begin_at(4, 6) == ["position", "features"]
    assert begin_at(4, 2) == ["features", "position"]
    assert begin_at(4, 4) == begin_at(None, 2) == begin_at(3, None) == []


def test_the_same_seed_teaches_the_same_and_another_seed_something_else():
    short = replace(RECIPES["taught"].smoke(), steps=2, further=1)
    a, b = (train(short, say=quiet).model.state_dict() for _ in range(2))
    c = train(replace(short, seed=9), say=quiet).model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)
    start = begin(short).model.state_dict()
    frozen = [k for k in a if "vision" in k or "projector" in k]
    assert frozen
    assert all(torch.equal(a[k], start[k]) for k in frozen)


def test_the_rate_warms_up_and_decays_to_a_tenth():
    recipe = RECIPES["taught"]
    first, second = recipe.horizons
    long = replace(recipe, steps=first, further=second)
    rates = [learning_rate(long, step) for step in range(long.whole)]
    for part, highest in ((rates[:first], recipe.rate), (rates[first:], recipe.further_rate)):
        assert max(part) == pytest.approx(highest)
        assert part[-1] == pytest.approx(highest / 10, rel=1e-2)
    cut = [learning_rate(recipe, step) for step in range(recipe.steps)]
    assert cut == rates[: recipe.steps]


@pytest.mark.deep
def test_the_command_teaches_a_control_that_loads(tmp_path, capsys):
    out = tmp_path / "made"
    assert main(["train", "taught-spread", "--smoke", "--out", str(out)]) == 0
    assert f"written to {out}" in capsys.readouterr().out
    truth = json.loads((out / "truth.json").read_text())
    assert truth["heads"]["id_selection"] == [[3, 2], [3, 5], [4, 0], [4, 7]]
    assert "It begins with the weights of `tiny-qwen2-vl`" in (out / "README.md").read_text()
    assert load(find(str(out), read_registry())).heads == HEADS


def test_smoke_mode_without_a_folder_is_refused_for_a_taught_control(capsys):
    assert main(["train", "taught", "--smoke"]) == 2
    assert "--out" in capsys.readouterr().err


@pytest.mark.deep
@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_has_the_stages_that_its_truth_says(name):
    recipe = RECIPES[name]
    truth = json.loads((CONTROLS / name / "truth.json").read_text())
    assert truth["heads"] == {s: [list(p) for p in recipe.heads[s]] for s in CONDITIONS}
    subject = build(recipe.start, 0)
    loaded = type(subject.model).from_pretrained(CONTROLS / name).eval()
    assert loaded.config.text_config.hidden_size == WIDTH
    found = measure_stages(replace(subject, model=loaded), recipe.heads, trials=40)
    for stage in CONDITIONS:
        for what in ("clean_right", "follow", "stay", "right_without"):
            assert found[stage][what] == pytest.approx(
                truth["measured"]["stages"][stage][what], abs=0.2
            )
