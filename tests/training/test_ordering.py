"""The controls whose order of a row is known have it where they say, seen through hooks in the model alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli.row_tokens import Regions, RowTokens, find_row_tokens
from harness.stimuli.rows import (
    EMBEDDED_ROW_GRID,
    draw_row_pairs,
    list_row_questions,
    make_mirrored_pair,
    make_opposite_pair,
    make_same_pair,
    show_alone,
    show_nothing,
)
from harness.stimuli.scene import COLORS
from harness.subjects.loading import load
from harness.subjects.registry import FIXTURES, find, read_registry
from harness.training.wired.heads import HEAD_DIM, Lean, WiredHead, find_turn, weigh_group
from harness.training.wired.ordering import BUILT
from harness.training.wired.plans import PLANS
from harness.training.wired.slots import WIDTH, at, read_slot
from harness.training.wired.strips import COLOR_OF_STRIP, ORDINALS

VISION, LANGUAGE, BOTH = "planted-vision", "planted-language", "planted-both"
CONTROLS = (VISION, LANGUAGE, BOTH)
SIDE, SLOTS = 8, 9
PAIRS = 4
"""Pairs of each setting, one of each direction."""
CHECKED = (0, 2, 3, 4, 5, 6, 7, 8)
"""Slots that are tried: the first and last, and those on both sides of every step."""
ASKED, ANSWERED = 5, 7
"""The first slots that hold the ordinal asked for and the answer; slot k is what enters layer k."""
BUILT_FROM = 3
"""The first slot whose items' tokens hold an order that the language model has built."""

Edit = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class Shown:
    """Questions as a control reads them, and all that it makes of them, by hooks in its own forward pass."""

    subject: object
    trials: list

    @cached_property
    def batch(self):
        return self.subject.encode(self.trials)

    @cached_property
    def states(self):
        """What enters every layer, and what leaves the last, [slot, row, token, dimension]."""
        return self.run()[1]

    def image(self, tokens):
        """Where image tokens are in each row of the batch: row indices [B, 1] and tokens [B, N]."""
        starts = torch.as_tensor(np.asarray(self.batch.image_start))[:, None]
        return torch.arange(len(self.trials))[:, None], starts + torch.as_tensor(np.asarray(tokens))

    @torch.no_grad()
    def run(self, edits: dict[int, Edit] | None = None):
        """Logits at the last token and what enters every slot, with what enters some of them edited."""
        language = self.subject.model.model.language_model
        seen: dict[int, torch.Tensor] = {}

        def enter(slot):
            def hook(module, arguments):
                state = arguments[0].clone()
                state = (edits or {}).get(slot, lambda kept: kept)(state)
                seen[slot] = state
                return (state, *arguments[1:])

            return hook

        places = [*language.layers, language.norm]
        hooks = [p.register_forward_pre_hook(enter(slot)) for slot, p in enumerate(places)]
        try:
            logits = self.subject.model(**self.batch.inputs).logits[:, -1]
        finally:
            for hook in hooks:
                hook.remove()
        return logits, torch.stack([seen[slot] for slot in range(SLOTS)])

    def run_both(self, begin: Edit, edit: Edit, slot: int):
        """Logits with what enters the decoder edited at first, and then a slot, which may be the first."""
        if slot:
            return self.run({0: begin, slot: edit})[0]
        return self.run({0: lambda state: edit(begin(state))})[0]

    def probabilities(self, logits, words):
        """Probability of one word for each row, [B]."""
        ids = [self.subject.answer_id(t.prompt, w) for t, w in zip(self.trials, words, strict=True)]
        return logits.softmax(-1)[range(len(ids)), ids]


@pytest.fixture(scope="module")
def control():
    loaded = {}

    def of(name):
        if name not in loaded:
            loaded[name] = load(find(str(FIXTURES / "controls" / name), read_registry()))
        return loaded[name]

    return of


def draw(maker, setting="shapes"):
    return draw_row_pairs(maker, EMBEDDED_ROW_GRID, setting, PAIRS, np.random.default_rng(7))


def find_tokens(questions) -> list[RowTokens]:
    return [find_row_tokens(q, (SIDE, SIDE)) for q in questions]


@pytest.fixture(scope="module")
def mirrored(control):
    """Rows and their mirror images about which the same is asked, as each control reads them."""
    pairs = [*draw(make_mirrored_pair, "squares"), *draw(make_mirrored_pair)]
    made = {}

    def of(name):
        if name not in made:
            made[name] = tuple(
                Shown(control(name), [getattr(p, side).trial for p in pairs])
                for side in ("clean", "counterfactual")
            )
        return pairs, *made[name]

    return of


@pytest.fixture(scope="module")
def bare(control, mirrored):
    """What enters the decoder with the order of vision removed, for clean rows and for their mirror images."""
    made = {}

    def of(name):
        if name not in made:
            pairs, clean, other = mirrored(name)
            made[name] = [
                remove_order(shown, [getattr(p, side) for p in pairs])
                for shown, side in ((clean, "clean"), (other, "counterfactual"))
            ]
        return made[name]

    return of


@torch.no_grad()
def remove_order(shown: Shown, questions) -> torch.Tensor:
    """Image tokens of items as if each stood alone in the middle, all others as in a blank image (slot 0)."""
    subject = shown.subject
    state = shown.states[0].clone()
    trials = [q.shown_on(show_alone(q, item)) for q in questions for item in q.items]
    alone = Shown(subject, [*trials, questions[0].shown_on(show_nothing(questions[0]))])
    inputs, starts = alone.batch.inputs["inputs_embeds"], alone.batch.image_start
    blank = inputs[-1, starts[-1] : starts[-1] + SIDE**2]
    for row, tokens in enumerate(find_tokens(questions)):
        start = int(shown.batch.image_start[row])
        state[row, start : start + SIDE**2] = blank
        for place, item in enumerate(tokens.items):
            source = 3 * row + place
            middle = [int(starts[source]) + t for t in tokens.items[1]]
            state[row, [start + t for t in item]] = inputs[source, middle]
    return state


def exchange(clean: Shown, other: torch.Tensor, regions: list[Regions]) -> Edit:
    """Give the first region what the last holds in another state of the same shape, and the other way round."""
    into = clean.image([[*r.first, *r.last] for r in regions])
    out = clean.image([[*r.last, *r.first] for r in regions])

    def edit(state):
        state[into] = other[out]
        return state

    return edit


def swap(clean: Shown, other: Shown, regions: list[Regions], slot: int):
    """Logits with two regions exchanged at a slot."""
    return clean.run({slot: exchange(clean, other.states[slot], regions)})[0]


def follow(logits, shown: Shown, pairs) -> np.ndarray:
    """Probability of the clean answer and of the one in the mirror image, [2, B]."""
    return np.stack(
        [shown.probabilities(logits, [p.words[k] for p in pairs]).numpy() for k in (0, 2)]
    )


@given(st.sampled_from([1, 2]), st.floats(0.5, 5), st.floats(1, 9), st.integers(-7, 7))
def test_a_head_that_leans_looks_at_what_is_further_before_than_its_edge(
    pair, edge, strength, distance
):
    item = read_slot("seen_object")
    head = WiredHead(
        0, 0, leans=(Lean(item, item, pair, edge, strength),), brings=((item, item),), rest=0
    )
    group = weigh_group([head])
    state = np.zeros(WIDTH)
    state[at("seen_object")] = 1
    query, key = group.queries[0] @ state / HEAD_DIM**0.5, group.key @ state
    turn, other = distance * find_turn(pair), pair + HEAD_DIM // 2
    # The query stands further on by the distance, along what this pair turns with.
    query[[pair, other]] = [
        query[pair] * np.cos(turn) - query[other] * np.sin(turn),
        query[other] * np.cos(turn) + query[pair] * np.sin(turn),
    ]
    score = query @ key
    grown = np.sin(turn) - np.sin(edge * find_turn(pair))
    assert np.isclose(score, strength * grown / find_turn(pair))
    assert (score > 0) == (distance > edge) or np.isclose(score, 0)


@pytest.mark.deep
@pytest.mark.parametrize("setting", ["squares", "shapes"])
@pytest.mark.parametrize("name", CONTROLS)
def test_every_question_about_a_row_is_answered_right(control, name, setting):
    questions = list_row_questions(EMBEDDED_ROW_GRID, setting)
    right = []
    for start in range(0, len(questions), 48):
        part = [q.trial for q in questions[start : start + 48]]
        shown = Shown(control(name), part)
        said = shown.run()[0].argmax(-1)
        right += [
            control(name).read_word(int(s)) == t.answer for s, t in zip(said, part, strict=True)
        ]
    assert np.mean(right) >= 0.95


@pytest.mark.deep
@pytest.mark.parametrize(("name", "least", "most"), [(VISION, 0.3, 0.36), (BOTH, 0.55, 0.72)])
def test_a_backup_is_right_more_often_than_a_guess_and_less_often_than_vision(
    control, name, least, most
):
    right = []
    questions = list_row_questions(EMBEDDED_ROW_GRID, "squares")
    for start in range(0, len(questions), 48):
        part = questions[start : start + 48]
        shown = Shown(control(name), [q.trial for q in part])
        without = remove_order(shown, part)
        said = shown.run({0: lambda _, without=without: without.clone()})[0].argmax(-1)
        read = [control(name).read_word(int(token)) for token in said]
        right += [word == q.trial.answer for word, q in zip(read, part, strict=True)]
    assert least <= np.mean(right) <= most


@pytest.mark.parametrize("name", CONTROLS)
def test_the_truth_says_who_makes_the_order(name):
    truth = json.loads((FIXTURES / "controls" / name / "truth.json").read_text())
    assert truth["ordering"] == name.removeprefix("planted-")
    assert not any(truth["heads"].values())
    built = truth["others"].get("order of items, at their tokens", [])
    assert bool(built) == (name != VISION)
    assert {layer for layer, _ in built} <= {BUILT_FROM - 1}
    plan = PLANS[name]
    assert (plan.selection.layer, plan.features.layer) == (ASKED - 1, ANSWERED - 1)


@pytest.mark.parametrize("name", CONTROLS)
def test_the_last_token_holds_the_ordinal_and_then_the_word(control, name):
    opposite, same = draw(make_opposite_pair), draw(make_same_pair)
    clean = Shown(control(name), [p.clean.trial for p in opposite])
    donors = {
        kind: Shown(control(name), [p.counterfactual.trial for p in pairs])
        for kind, pairs in (("opposite", opposite), ("same", same))
    }
    plain = clean.probabilities(clean.run()[0], [p.words[0] for p in opposite])
    assert plain.min() > 0.9
    for slot in CHECKED:
        # Where the opposite is asked about other items, t2 has its ordinal here and t3 is its word.
        expected = {"opposite": 0 if slot < ASKED else 2 if slot < ANSWERED else 3}
        expected["same"] = 0 if slot < ANSWERED else 3
        for kind, donor in donors.items():

            def give(state, given=donor.states[slot][:, -1]):
                state[:, -1] = given
                return state

            logits = clean.run({slot: give})[0]
            words = [p.words[expected[kind]] for p in opposite]
            assert clean.probabilities(logits, words).min() > 0.9, (slot, kind)


@pytest.mark.parametrize("name", [VISION, BOTH])
@pytest.mark.parametrize("strips", ["aligned", "misaligned"])
def test_exchanged_strips_exchange_the_answer_where_vision_makes_the_order(mirrored, name, strips):
    pairs, clean, other = mirrored(name)
    regions = [getattr(t, strips) for t in find_tokens(p.clean for p in pairs)]
    for slot in CHECKED:
        before, after = follow(swap(clean, other, regions, slot), clean, pairs)
        flipped = after if slot < ANSWERED else before
        assert flipped.min() > 0.9, slot


@pytest.mark.parametrize("name", [VISION, BOTH])
def test_exchanged_items_alone_exchange_nothing_where_vision_makes_the_order(mirrored, name):
    pairs, clean, other = mirrored(name)
    regions = [t.outer for t in find_tokens(p.clean for p in pairs)]
    for slot in CHECKED:
        before, _ = follow(swap(clean, other, regions, slot), clean, pairs)
        assert before.min() > 0.9, slot


@pytest.mark.parametrize("name", [VISION, BOTH])
def test_the_background_of_strips_exchanges_the_answer_without_any_item(mirrored, name):
    pairs, clean, other = mirrored(name)
    thirds = find_tokens(p.clean for p in pairs)
    regions = [
        Regions(
            *(
                tuple(t for t in strip if t not in {*tokens.outer.first, *tokens.outer.last})
                for strip in make_thirds(pair.direction in ("left", "right"))
            )
        )
        for pair, tokens in zip(pairs, thirds, strict=True)
    ]
    _, after = follow(swap(clean, other, regions, 0), clean, pairs)
    assert after.min() > 0.9


def make_thirds(across: bool) -> Regions:
    """The outer thirds of the canvas, each from the middle outwards, so that items are at the same offsets."""
    places = np.arange(SIDE**2).reshape(SIDE, SIDE)
    places = places if across else places.T
    return Regions(
        tuple(map(int, places[:, 2::-1].flatten())), tuple(map(int, places[:, 5:].flatten()))
    )


def test_exchanged_items_exchange_the_answer_once_the_language_model_has_built_the_order(mirrored):
    pairs, clean, other = mirrored(LANGUAGE)
    regions = [t.outer for t in find_tokens(p.clean for p in pairs)]
    for slot in CHECKED:
        before, after = follow(swap(clean, other, regions, slot), clean, pairs)
        assert (after if BUILT_FROM <= slot < ANSWERED else before).min() > 0.9, slot


def test_image_embeddings_hold_nothing_of_where_if_the_language_model_makes_the_order(mirrored):
    pairs, clean, other = mirrored(LANGUAGE)
    for row, tokens in enumerate(find_tokens(p.clean for p in pairs)):
        first, last = tokens.outer
        start, there = int(clean.batch.image_start[row]), int(other.batch.image_start[row])
        moved = (clean.states[0][row, [start + t for t in first]]).sub(
            other.states[0][row, [there + t for t in last]]
        )
        assert moved.abs().max() < 1e-4
        background = clean.states[0][row, [start + t for t in tokens.background]]
        assert (background - background[0]).abs().max() < 1e-4


@pytest.mark.parametrize("name", [VISION, BOTH])
def test_every_token_of_a_strip_holds_the_color_and_the_third_of_its_item(mirrored, name):
    pairs, clean, _ = mirrored(name)
    for row, pair in enumerate(pairs):
        start = int(clean.batch.image_start[row])
        image = clean.states[0][row, start : start + SIDE**2]
        across = pair.direction in ("left", "right")
        own = 0 if across else 1
        thirds = image[:, ORDINALS].reshape(SIDE, SIDE, 2, 3)
        thirds = thirds[:, :, own] if across else thirds[:, :, own].transpose(0, 1)
        colors = image[:, COLOR_OF_STRIP].reshape(SIDE, SIDE, -1)
        colors = colors if across else colors.transpose(0, 1)
        for item, lines in enumerate(((0, 1), (3, 4), (6, 7))):
            line = list(lines)
            assert torch.allclose(thirds[:, line], torch.eye(3)[item], atol=0.05)
            assert torch.allclose(thirds[:, [2, 5]], torch.zeros(3), atol=0.05)
            color = list(COLORS).index(pair.clean.items[item].color)
            assert (colors[:, line].argmax(-1) == color).all()


def test_only_items_hold_the_order_that_the_language_model_builds(mirrored):
    pairs, clean, _ = mirrored(LANGUAGE)
    for row, (pair, tokens) in enumerate(
        zip(pairs, find_tokens(p.clean for p in pairs), strict=True)
    ):
        start = int(clean.batch.image_start[row])
        axis = 0 if pair.direction in ("left", "right") else 2
        for place, item in enumerate(tokens.items):
            built = clean.states[BUILT_FROM][row, [start + t for t in item]][:, BUILT]
            expected = torch.full((4,), -0.5)
            expected[axis : axis + 2] += torch.tensor([float(place > 0), float(place > 1)])
            assert torch.allclose(built, expected.expand_as(built), atol=0.05)


def lean(logits, shown, pairs) -> np.ndarray:
    """By how many logits the clean answer leads the one in the mirror image, [B]."""
    before, after = follow(logits, shown, pairs)
    return np.log(before) - np.log(after)


def test_the_answers_stay_right_without_the_order_of_vision_if_the_language_model_makes_it(
    bare, mirrored
):
    pairs, clean, _ = mirrored(LANGUAGE)
    without = bare(LANGUAGE)[0]
    before, _ = follow(clean.run({0: lambda _: without.clone()})[0], clean, pairs)
    assert before.min() > 0.99


def test_a_backup_leans_to_the_right_answer_where_the_order_of_vision_is_removed(bare, mirrored):
    """The same colors, asked for alike in the other order: what is left of a louder color cancels out."""
    pairs, clean, _ = mirrored(BOTH)
    leads = [lean(clean.run({0: lambda _, w=w: w.clone()})[0], clean, pairs) for w in bare(BOTH)]
    assert (leads[0] - leads[1]).min() > 3


def test_without_the_order_of_vision_the_loudest_color_is_said_where_nothing_else_has_an_order(
    bare, mirrored
):
    """Whatever is asked and wherever it is: over all orders of three items a third of the answers is right."""
    pairs, *shown = mirrored(VISION)
    loud = list(COLORS)
    for one, without in zip(shown, bare(VISION), strict=True):
        logits = one.run({0: lambda _, without=without: without.clone()})[0]
        said = [one.subject.read_word(int(token)) for token in logits.argmax(-1)]
        assert said == [min(p.words, key=loud.index) for p in pairs]


@pytest.mark.parametrize("name", [LANGUAGE, BOTH])
def test_the_built_order_moves_with_the_items_where_vision_has_none(bare, mirrored, name):
    pairs, clean, _ = mirrored(name)
    first, last = bare(name)
    regions = [t.outer for t in find_tokens(p.clean for p in pairs)]
    logits, mirror = clean.run({0: lambda _: last.clone()})
    moved = lean(logits, clean, pairs)
    kept = lean(clean.run({0: lambda _: first.clone()})[0], clean, pairs)
    assert (kept - moved).min() > 3
    for slot in CHECKED:
        edit = exchange(clean, mirror[slot], regions)
        found = lean(clean.run_both(lambda _: first.clone(), edit, slot), clean, pairs)
        expected = moved if BUILT_FROM <= slot < ANSWERED else kept
        # Heads of noise read what moves: nothing that comes near to the three logits that the order is worth.
        assert np.abs(found - expected).max() < 1, slot
