"""A twin computes what the model does that it is made from; a change that is made in one place only shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from families import loaded
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial, scene_description, spatial_question
from harness.stimuli.scene import COLORS, SHAPES, Cell, Object, Scene
from harness.subjects.anatomy import ANATOMIES
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import load
from harness.subjects.registry import UnknownSubject, find, read_registry
from harness.subjects.renumbering import NoTwin, renumber
from harness.subjects.twins import (
    ALL_EXACT,
    EXACT,
    EXCHANGED,
    PROJECTORS,
    draw_cycle,
    draw_head_order,
    save_twin,
    transform,
)
from harness.tracing.capture import capture
from harness.tracing.selfcheck import selfcheck
from harness.training.architectures import tiny_llava

REGISTRY = read_registry()
ROUNDING = 1e-5
"""Of the largest logit: sums are taken in another order."""

SHIPPED = ("planted", "tiny-llava", "tiny-qwen2-vl")
GROUPED = ("llava of two keys", "untrained qwen2_vl", "qwen2_5_vl")


@pytest.fixture(scope="module")
def original(checkpoints, family_folders, tmp_path_factory):
    """A function that gives a subject that ships with us, or one with random weights and shared keys."""
    made = {}

    def of(name):
        if name not in made and name in SHIPPED:
            made[name] = load(find(name, REGISTRY))
        elif name == "llava of two keys":
            sizes = dict(num_key_value_heads=2)
            folder = tmp_path_factory.mktemp("grouped")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                tiny_llava(text=sizes).save(folder)
            made[name] = loaded(folder)
        elif name not in made:
            folders = {"untrained qwen2_vl": checkpoints["tiny-qwen2-vl"], **family_folders}
            made[name] = loaded(folders[name])
        return made[name]

    return of


def draw(subject, count=6):
    return draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], count, np.random.default_rng(0))


def run(subject, trials):
    """Logits of the last token, [trials, tokens of the whole vocabulary in the order of their spelling]."""
    with torch.no_grad():
        logits = subject.model(**subject.encode(trials).inputs).logits[:, -1]
    known = subject.tokenizer.get_vocab()
    return logits[:, [known[token] for token in sorted(known)]]


def differ(subject, other):
    """The largest difference between the logits of two subjects, as a share of the largest logit."""
    trials = draw(subject)
    clean, changed = run(subject, trials), run(other, trials)
    return float((clean - changed).abs().max() / clean.abs().max())


ASKED = [
    *((name, how) for name in SHIPPED for how in (*EXACT, ALL_EXACT)),
    *((name, how) for name in GROUPED for how in ("heads", "scales", ALL_EXACT)),
    ("llava", "vocabulary"),
]


@pytest.mark.parametrize(("name", "how"), ASKED)
def test_a_twin_has_the_logits_of_the_original(original, name, how):
    subject = original(name)
    twin = transform(subject, how)
    assert differ(subject, twin) < ROUNDING
    own, other = subject.model.state_dict(), twin.model.state_dict()
    assert own.keys() == other.keys()
    assert any(not torch.equal(own[key], other[key]) for key in own)


@pytest.mark.parametrize("name", ["planted", "tiny-qwen2-vl"])
@pytest.mark.parametrize("how", [ALL_EXACT, *EXCHANGED])
def test_hooks_fit_a_twin(original, name, how):
    selfcheck(transform(original(name), how))


@pytest.mark.parametrize("name", ["planted", "tiny-qwen2-vl"])
def test_two_changes_can_be_made_one_after_the_other(original, name):
    subject = original(name)
    first = transform(transform(subject, "heads"), "basis")
    second = transform(transform(subject, "basis"), "heads")
    assert differ(subject, first) < ROUNDING
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key]), key


@pytest.mark.parametrize("left_out", ["q_proj", "k_proj", "v_proj", "o_proj"])
@pytest.mark.parametrize("name", ["planted", "tiny-qwen2-vl"])
def test_heads_that_are_not_carried_through_change_the_logits(original, name, left_out):
    subject = original(name)
    twin = transform(subject, "heads")
    layers = (s.model.get_submodule(s.anatomy.layers) for s in (subject, twin))
    with torch.no_grad():
        for own, other in zip(*layers, strict=True):
            other.self_attn.get_submodule(left_out).weight.copy_(
                own.self_attn.get_submodule(left_out).weight
            )
    assert differ(subject, twin) > 100 * ROUNDING


LEFT_OUT = {
    "projector": ("basis", PROJECTORS["llava"]),
    "norm": ("basis", "model.language_model.layers.3.input_layernorm"),
    "what is read": ("basis", "model.language_model.layers.3.mlp.up_proj"),
    "neurons": ("neurons", "model.language_model.layers.3.mlp.gate_proj"),
    "values": ("scales", "model.language_model.layers.3.self_attn.v_proj"),
    "what is said": ("vocabulary", "lm_head"),
}


@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_a_part_that_is_left_as_it_was_changes_the_logits(original, left_out):
    subject = original("tiny-llava")
    how, path = LEFT_OUT[left_out]
    twin = transform(subject, how)
    own, other = (s.model.get_submodule(path).weight for s in (subject, twin))
    with torch.no_grad():
        other.copy_(own)
    assert differ(subject, twin) > 100 * ROUNDING


@given(count=st.integers(2, 40), seed=st.integers(0, 2**32))
def test_in_a_cycle_each_number_is_once_and_none_at_its_place(count, seed):
    cycle = draw_cycle(count, np.random.default_rng(seed))
    assert sorted(cycle) == list(range(count))
    assert (cycle != np.arange(count)).all()


@given(groups=st.integers(1, 8), size=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_heads_that_share_keys_stay_together(groups, size, seed):
    for order in draw_head_order(3, groups * size, groups, seed):
        assert sorted(order) == list(range(groups * size))
        shared = order.reshape(groups, size) // size
        assert (shared == shared[:, :1]).all()
        assert groups == 1 or (shared[:, 0] != np.arange(groups)).all()


@pytest.mark.parametrize("name", ["planted", "tiny-qwen2-vl", "llava of two keys"])
def test_the_order_says_where_each_head_went(original, name):
    subject = original(name)
    twin = transform(subject, "heads")
    trials = draw(subject)
    batches = (subject.encode(trials), twin.encode(trials))
    last = torch.full((len(trials), 1), batches[0].last)
    own, other = (
        capture(s, batch, "head", last) for s, batch in zip((subject, twin), batches, strict=True)
    )
    order = draw_head_order(subject.layers, subject.heads, subject.key_heads)
    for layer, heads in enumerate(order):
        assert torch.allclose(other[layer], own[layer][..., list(heads), :], atol=1e-4)


@pytest.mark.parametrize("name", ["tiny-qwen2-vl", "planted"])
def test_a_twin_can_be_written_as_a_checkpoint(original, name, tmp_path):
    subject = original(name)
    save_twin(transform(subject, ALL_EXACT), tmp_path / "twin")
    read = load(replace(find(str(tmp_path / "twin"), REGISTRY), scale="embedded"))
    assert read.model.config.image_token_id != subject.model.config.image_token_id
    assert differ(subject, read) < ROUNDING


def test_a_twin_has_a_name_and_a_fingerprint_of_its_own():
    names = ["planted", *(f"planted:{how}" for how in (*EXACT, ALL_EXACT, *EXCHANGED))]
    assert len({take_fingerprint(find(name, REGISTRY)) for name in names}) == len(names)
    with pytest.raises(UnknownSubject, match="there are: .*planted:heads.*planted:mirrored"):
        find("planted:nobody", REGISTRY)
    with pytest.raises(
        UnknownSubject,
        match=r"there are: [^,]*:wrong-image, [^,]*:shuffled, [^,]*:bfloat16, [^,]*:int8, [^,]*:nf4$",
    ):
        find("llava-1.5-7b:heads", REGISTRY)


def test_what_is_named_is_what_is_loaded(original):
    subject = original("planted")
    for how in ("heads", "mirrored"):
        named, made = load(find(f"planted:{how}", REGISTRY)), transform(subject, how)
        assert type(named) is type(made)
        assert torch.equal(run(named, draw(subject)), run(made, draw(subject)))


@pytest.mark.parametrize("family", sorted(ANATOMIES.keys() - PROJECTORS.keys()))
def test_a_family_without_twins_says_so(family, family_folders):
    with pytest.raises(NoTwin, match=f"the family {family} has no twins"):
        transform(loaded(family_folders[family]), "heads")


def test_a_special_token_that_a_tokenizer_adds_keeps_its_meaning(original):
    tokenizer = original("llava").tokenizer
    count = len(tokenizer)
    other = renumber(tokenizer, lambda _, number: (number + 5) % count)
    own, new = (t("In this image there is a")["input_ids"] for t in (tokenizer, other))
    assert own[0] == tokenizer.bos_token_id
    assert new == [(number + 5) % count for number in own]
    assert other.decode(new) == tokenizer.decode(own)


CELLS = (Cell(0, 0), Cell(0, 1), Cell(1, 1))


def tell(grid, objects, cells):
    prompt = scene_description(objects[:2], objects[2])
    return Trial(Scene(grid, tuple(objects), tuple(cells)), prompt, tuple(objects[:2]), objects[2])


def check_same(subject, twin, asked, shown):
    own, other = subject.encode([shown]), twin.encode([asked])
    assert torch.equal(own.input_ids, other.input_ids)
    assert torch.equal(own.inputs["inputs_embeds"], other.inputs["inputs_embeds"])
    assert own.mentions == other.mentions


@pytest.mark.parametrize("name", ["planted", "tiny-qwen2-vl"])
@pytest.mark.parametrize(("how", "part"), [("colors", "color"), ("renamed", "shape")])
def test_exchanged_words_are_exchanged_in_the_image_too(original, name, how, part):
    subject = original(name)
    twin, words = transform(subject, how), EXCHANGED[how].words
    objects = [Object("red", "square"), Object("blue", "star"), Object("pink", "sun")]
    others = [replace(o, **{part: words[getattr(o, part)]}) for o in objects]
    grid = subject.grids[2]
    check_same(subject, twin, tell(grid, objects, CELLS), tell(grid, others, CELLS))


@pytest.mark.parametrize("how", EXCHANGED)
def test_a_twin_says_the_words_that_its_trials_expect(original, how):
    twin = transform(original("planted"), how)
    rng, trials = np.random.default_rng(0), []
    for _ in range(12):
        named = zip(
            rng.permutation(list(COLORS))[:3], rng.permutation(list(SHAPES))[:3], strict=True
        )
        trials.append(tell(twin.grids[2], [Object(str(c), str(s)) for c, s in named], CELLS))
    with torch.no_grad():
        said = twin.model(**twin.encode(trials).inputs).logits[:, -1].argmax(-1).tolist()
    assert [twin.read_word(token) for token in said] == [t.answer for t in trials]
    assert said == [twin.answer_id(t.prompt, t.answer) for t in trials]


@pytest.mark.parametrize("name", ["planted", "tiny-qwen2-vl"])
def test_a_mirrored_scene_has_its_tokens_where_its_objects_are(original, name):
    subject = original(name)
    twin = transform(subject, "mirrored")
    objects = [Object("red", "square"), Object("blue", "star"), Object("pink", "sun")]
    grid = subject.grids[2]
    mirrored = [cell._replace(column=1 - cell.column) for cell in CELLS]
    asked, shown = tell(grid, objects, CELLS), tell(grid, objects, mirrored)
    check_same(subject, twin, asked, shown)
    own, other = subject.encode([shown]), twin.encode([asked])
    for cell, place in zip(CELLS, mirrored, strict=True):
        here, there = (list(grid.tokens(c, own.image_grid[1])) for c in (cell, place))
        assert set(other.image_tokens[0, here].tolist()) == set(own.image_tokens[0, there].tolist())
    left, right = (
        replace(asked, prompt=spatial_question(side, objects[0], "blue"))
        for side in ("left", "right")
    )
    assert torch.equal(twin.encode([left]).input_ids, subject.encode([right]).input_ids)


def test_words_of_several_tokens_cannot_be_exchanged(original):
    with pytest.raises(NoTwin, match="only a tokenizer with one token for each word"):
        transform(original("qwen2_5_vl"), "colors")
