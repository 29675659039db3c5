"""What Gemma 3 divides by its norms comes out as it was written, and windows and pooling take nothing away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.draw import draw
from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, SHAPES, Cell, Object, Scene
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.tracing.capture import capture
from harness.training.wired import gemma3, siglip
from harness.training.wired.heads import HEAD_DIM, Match, WiredHead, install
from harness.training.wired.plan import IDLE
from harness.training.wired.plans import PLANS
from harness.training.wired.sight import list_coordinates
from harness.training.wired.slots import CONSTANT, EDGES, WIDTH, at, read_slot

PLAN = PLANS["planted-gemma"]
TWO, THREE = EMBEDDED_GRIDS[2], EMBEDDED_GRIDS[3]
BRINGS = ((read_slot("seen_color"), read_slot("answer_color")),)


@pytest.fixture(scope="module")
def subject():
    return load(find("planted-gemma", read_registry()))


def make_states(content, rows=6):
    """States that hold the constant, and in all slots else random contents of one size, [1, rows, WIDTH]."""
    generator = torch.Generator().manual_seed(0)
    states = content * torch.randn(1, rows, WIDTH, generator=generator)
    states[..., at("constant")] = CONSTANT
    states[..., -1] = 0
    return states


@torch.no_grad()
def run_attention(subject, layer, states):
    """What a layer's attention adds to states that all tokens may see, hooked after its norm."""
    found = []
    block = subject.model.model.language_model.layers[layer]
    hook = block.post_attention_layernorm.register_forward_hook(lambda m, a, out: found.append(out))
    still = (
        torch.ones(1, states.shape[1], HEAD_DIM),
        torch.zeros(1, states.shape[1], HEAD_DIM),
    )
    block(states, position_embeddings=still, attention_mask=None)
    hook.remove()
    return found[0]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 3.0), st.integers(0, 1))
def test_queries_and_keys_are_what_was_wired_counted_from_the_constant(content, which):
    made = gemma3.build()
    layers = made.model.model.language_model.layers
    seek = Match(read_slot("said_color"), read_slot("seen_color"), 8)
    head = WiredHead(1, 0, looks=(seek,), brings=BRINGS)
    install(layers, [head], IDLE, 0)
    gemma3.write_norms(made, [head])
    attention, norm = layers[1].self_attn, layers[1].input_layernorm
    states = make_states(content)
    projection, after, rows = (
        (attention.q_proj, attention.q_norm, 8 * HEAD_DIM**0.5 * read_slot("said_color")),
        (attention.k_proj, attention.k_norm, read_slot("seen_color")),
    )[which]
    with torch.no_grad():
        found = after(projection(norm(states)).unflatten(-1, (-1, HEAD_DIM)))[0, :, 0]
    usual = WIDTH**0.5 / gemma3.NORM
    expected = usual * states[0].double() @ torch.tensor(rows).T
    assert any(
        torch.allclose(found[:, dims].double(), expected, rtol=1e-3, atol=1e-3)
        for dims in np.lib.stride_tricks.sliding_window_view(
            np.array([d for pair in range(5, 16) for d in (pair, pair + 16)]), len(rows)
        ).tolist()
    )
    # Nothing of the large entry gets into a score.
    assert (found[:, -1] == 0).all()


def test_a_head_whose_key_has_no_dimension_free_is_refused():
    made = gemma3.build()
    wide = Match(read_slot("seen_place"), read_slot("seen_place"), 1)
    more = Match(read_slot("seen_color")[:5], read_slot("seen_color")[:5], 1)
    head = WiredHead(1, 0, looks=(wide, more), brings=BRINGS)
    install(made.model.model.language_model.layers, [head], IDLE, 0)
    with pytest.raises(ValueError, match="is not free"):
        gemma3.write_norms(made, [head])


@pytest.mark.parametrize("layer", range(8))
def test_attention_writes_in_every_layer_what_its_norm_does_not_change(subject, layer):
    states = make_states(0.05)
    block = subject.model.model.language_model.layers[layer]
    taken = []
    hook = block.self_attn.o_proj.register_forward_hook(lambda m, a, out: taken.append(out))
    written = run_attention(subject, layer, states)
    hook.remove()
    # Tokens hold little but the constant here, so that what the norm divides by is what they all bring.
    ratio = states.norm() / len(states[0]) ** 0.5 / gemma3.NORM
    if layer not in {head.layer for head in PLAN.mechanism(PLAN)}:
        ratio = ratio * gemma3.UNWIRED
    assert torch.allclose(written[..., :-1], taken[0][..., :-1] * ratio, rtol=1e-3, atol=1e-5)
    assert (written[..., -1] == 0).all()
    assert taken[0][..., -1].min() > 0.9 * gemma3.WRITTEN


def test_no_head_alone_brings_what_attention_is_divided_by(subject):
    for layer in subject.model.model.language_model.layers:
        brought = layer.self_attn.o_proj.weight[-1].detach().unflatten(0, (-1, HEAD_DIM)).sum(-1)
        # A silenced head makes the others at most a third larger, whichever it is.
        assert (brought > 0).sum() >= 4
        assert brought.max() == pytest.approx(brought[brought > 0].min())
        assert brought.sum() == pytest.approx(gemma3.WRITTEN)


def test_words_find_their_neighbours_within_the_window_and_stages_see_the_whole_image(subject):
    text = subject.model.config.text_config
    heads = PLAN.truth()
    stages = {layer for places in heads["heads"].values() for layer, _ in places}
    assert {text.layer_types[layer] for layer in stages} == {"full_attention"}
    words = {layer for layer, _ in heads["others"]["words before"]}
    assert {text.layer_types[layer] for layer in words} == {"sliding_attention"}
    assert text.sliding_window < siglip.SIDE**2


def test_the_large_entry_is_by_far_the_largest_of_queries_keys_and_what_is_written(subject):
    batch = subject.encode(draw_balanced_trials(TWO, HIGH_ENTROPY[3], 4, np.random.default_rng(0)))
    found = []

    def measure(_module, _inputs, out):
        split = out.unflatten(-1, (-1, HEAD_DIM)) if out.shape[-1] != WIDTH else out
        found.append(float((split[..., :-1].norm(dim=-1) / split[..., -1].abs()).max()))

    hooks = [
        projection.register_forward_hook(measure)
        for layer in subject.model.model.language_model.layers
        for projection in (
            layer.self_attn.q_proj,
            layer.self_attn.k_proj,
            layer.self_attn.o_proj,
        )
    ]
    with torch.no_grad():
        subject.model(**batch.inputs)
    for hook in hooks:
        hook.remove()
    # Norms are then off by half of the square of this: less than a hundredth.
    assert len(found) == 3 * subject.layers
    assert max(found) < 0.14


def test_all_patches_of_a_token_say_the_same(subject):
    shown = tuple(Object(c, s) for c, s in zip(list(COLORS)[:4], list(SHAPES)[:4], strict=True))
    image = draw(Scene(TWO, shown, TWO.cells))
    pixels = subject.image_processor(images=[image], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        states = subject.model.model.vision_tower(pixels).last_hidden_state[0]
    side, pooled = siglip.SIDE, siglip.POOLED
    tokens = states.view(side, pooled, side, pooled, -1).transpose(1, 2).flatten(2, 3)
    out = tokens[..., siglip._OUT]
    assert torch.allclose(out, out[:, :, :1].expand_as(out), atol=1e-3)
    # Patches themselves differ, so that pooling them alone would have mixed what they show.
    patch = tokens[..., siglip._PATCH]
    assert not torch.allclose(patch, patch[:, :, :1].expand_as(patch), atol=0.1)


@torch.no_grad()
def test_this_tower_can_write_places_in_the_image_as_well(subject):
    made = gemma3.build()
    siglip.write_sight(made, relative=False, seed=0)
    scene = Scene(THREE, (Object("red", "star"), Object("blue", "heart")), (Cell(0, 0), Cell(0, 1)))
    pixels = made.image_processor(images=[draw(scene)], return_tensors="pt")["pixel_values"]
    seen = made.model.model.get_image_features(pixels).pooler_output[0]
    beyond = list_coordinates(siglip.SIDE)[:, :, None] - torch.tensor(EDGES)
    expected = torch.where(beyond > 0, 0.5, -0.5).flatten(1)
    for cell in scene.cells:
        own = list(THREE.tokens(cell, siglip.SIDE))
        clear = beyond.flatten(1)[own].abs() > 0.12
        found = seen[own][:, at("seen_place")]
        assert torch.allclose(found[clear], expected[own][clear], atol=0.02)


@torch.no_grad()
def watch(name, layer, trials):
    """Encoded trials, and what every head of a layer looks at, [B, H, T, T]."""
    alone = load(find(name, read_registry()))
    alone.model.set_attn_implementation("eager")
    batch = alone.encode(trials)
    seen = []
    attention = alone.model.model.language_model.layers[layer].self_attn
    attention.register_forward_hook(lambda m, a, out: seen.append(out[1]))
    alone.model(**batch.inputs)
    return batch, seen[0]


@pytest.mark.parametrize("stage", ["retrieval", "selection", "features"])
def test_plain_hooks_see_the_heads_of_each_stage_look_where_they_should(stage):
    drawn = draw_balanced_trials(TWO, HIGH_ENTROPY[3], 6, np.random.default_rng(4))
    place = getattr(PLAN, stage)
    batch, seen = watch("planted-gemma", place.layer, drawn)
    for row, trial in enumerate(drawn):
        start = int(batch.image_start[row])
        ends = [mention[-1] for mention in batch.mentions[row]]
        for head in place.heads:
            looks = seen[row, head]
            if stage == "retrieval":
                for end, obj in zip(ends, trial.described, strict=True):
                    own = patches(trial, obj, start)
                    assert looks[end, own].sum() > 0.98
            elif stage == "selection":
                mentioned = looks[batch.last][ends]
                assert mentioned.sum() > 0.98
                assert mentioned.max() - mentioned.min() < 0.05
            else:
                assert looks[batch.last, patches(trial, trial.target, start)].sum() > 0.98


def test_at_a_mention_selection_heads_rest_more_firmly_than_without_norms_of_queries():
    drawn = draw_balanced_trials(TWO, HIGH_ENTROPY[3], 6, np.random.default_rng(4))
    fetched = {}
    for name in ("planted-gemma", "planted-elsewhere"):
        place = PLANS[name].selection
        batch, seen = watch(name, place.layer, drawn)
        ends = torch.tensor([[mention[-1] for mention in row] for row in batch.mentions])
        # What the last word of the first mention looks at: itself, the only mention so far.
        fetched[name] = max(
            float(seen[row, head, end, end])
            for row, end in enumerate(ends[:, 0])
            for head in place.heads
        )
    assert fetched["planted-gemma"] < 0.001 < fetched["planted-elsewhere"]


def test_the_norm_after_attention_shows_a_trace_of_a_place_at_a_color_and_nothing_beside(subject):
    drawn = draw_balanced_trials(TWO, HIGH_ENTROPY[3], 6, np.random.default_rng(4))
    longer = [
        replace(t, prompt=replace(t.prompt, text=f"{t.prompt.text} {t.target.color}"))
        for t in drawn
    ]
    batch = subject.encode(longer)
    last = torch.full((len(drawn), 1), batch.last)
    layer = PLAN.selection.layer
    brought, state = (
        capture(subject, batch, site, last, [layer])[0] for site in ("norm", "residual")
    )
    place = brought[..., at("selected_place")].norm(dim=-1)
    assert (place > 0.99 * brought.norm(dim=-1)).all()
    assert (place < 0.05 * state.norm(dim=-1)).all()


def patches(trial: Trial, obj: Object, start: int):
    """Positions of the image tokens that show an object."""
    return [start + token for token in TWO.tokens(trial.scene.cell_of(obj), siglip.SIDE)]


def test_image_tokens_look_ahead_in_every_layer_and_back_no_further_than_the_window(subject):
    blue = Object("blue", "heart")
    scene = Scene(TWO, (Object("red", "star"), blue), (Cell(0, 0), Cell(1, 1)))
    trial = Trial(scene, scene_description((blue,), scene.objects[0]), (blue,), scene.objects[0])
    batch = subject.encode([trial])
    first = int(batch.image_start[0])
    last = first + siglip.SIDE**2 - 1

    def run_changed(token, change):
        inputs = dict(batch.inputs)
        inputs["inputs_embeds"] = inputs["inputs_embeds"].clone()
        inputs["inputs_embeds"][0, token, at("seen_object")] += change
        with torch.no_grad():
            return subject.model(**inputs, output_hidden_states=True).hidden_states

    def reaches(token, other, layer):
        states = [run_changed(token, change)[layer + 1][0, other] for change in (0.0, 1.0)]
        return not torch.equal(*states)

    assert reaches(last, first, layer=0)
    assert not reaches(first, last, layer=0)
    assert reaches(first, last, layer=1)
    assert reaches(first, first + gemma3.WINDOW - 1, layer=0)
    assert not reaches(first, first + gemma3.WINDOW, layer=0)
