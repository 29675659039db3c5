"""Edits that mix, their controls, and two stages edited in one run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiments.editing import edit_heads, find_last_token
from harness.experiments.mixing import (
    add_to,
    draw_same_norm,
    mark_heads,
    mark_other_heads,
    mix_in,
)
from harness.experiments.other_heads import OtherHeads
from harness.experiments.patching import find_patched_tokens
from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY
from harness.subjects.loading import load
from harness.subjects.registry import read_registry
from harness.tracing.capture import capture, read_edited_logits
from harness.tracing.edit import write_at
from harness.tracing.replay import replay


@pytest.fixture(scope="module", params=["planted", "tiny-qwen2-vl"])
def subject(request):
    return load(read_registry()[request.param])


@pytest.fixture(scope="module")
def chain(subject):
    """Contrasts of ID retrieval: clean batch, mentions, the other side's values, last tokens, clean values."""
    pairs = draw_contrasts(
        "id_retrieval", subject.grids[2], HIGH_ENTROPY[3], 6, np.random.default_rng(3)
    )
    clean, other = (
        subject.encode([getattr(p, side) for p in pairs]) for side in ("clean", "counterfactual")
    )
    mention, last = find_patched_tokens(clean, pairs), find_last_token(clean)
    values = capture(subject, other, "head", mention)
    return clean, mention, values, last, capture(subject, clean, "head", last)


def test_two_stages_edited_together_are_replayed_as_in_a_whole_run(subject, chain):
    clean, mention, values, last, as_it_was = chain
    early = edit_heads("head", [(1, 0), (1, 2), (2, 0), (2, 1)], mention, values, "replace")
    late = mix_in(mark_heads([(4, 2), (5, 3)], subject, len(clean)), last, as_it_was, 1.0)
    both = replay(subject, clean, [[], early, [*early, *late]])
    for found, edits in zip(both, ([], early, [*early, *late]), strict=True):
        whole = read_edited_logits(subject, clean, edits)
        torch.testing.assert_close(found.double(), whole.double(), rtol=1e-4, atol=1e-3)


def test_holding_every_later_head_at_its_clean_value_leaves_only_what_came_before(subject, chain):
    clean, mention, values, last, as_it_was = chain
    early = edit_heads("head", [(2, 0), (2, 1)], mention, values, "replace")
    every = [(layer, head) for layer in range(subject.layers) for head in range(subject.heads)]
    held = mix_in(mark_heads(every, subject, len(clean)), last, as_it_was, 1.0)
    before, after = replay(subject, clean, [[], [*early, *held]])
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-3)


def apply(edits, activation, layer, width):
    changed = activation.clone().flatten(2)
    for edit in edits:
        assert edit.layer == layer
        write_at(changed, *edit.plain, width)
    return changed.view_as(activation)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(0, 2**16))
def test_a_mixture_is_a_share_of_both_in_marked_heads_and_nothing_elsewhere(share, seed):
    rng = torch.Generator().manual_seed(seed)
    given, values = (torch.randn(3, 1, 4, 5, generator=rng) for _ in range(2))
    marked = torch.zeros(3, 2, 4, dtype=torch.bool)
    marked[:, 1] = torch.rand(3, 4, generator=rng) < 0.5
    marked[0, 1, 0] = True
    tokens = torch.zeros(3, 1, dtype=torch.int64)
    both = torch.stack([torch.zeros_like(values), values])
    mixed = apply(mix_in(marked, tokens, both, share), given, 1, 5)
    at = marked[:, 1, :][:, None, :, None]
    torch.testing.assert_close(mixed, torch.where(at, (1 - share) * given + share * values, given))
    added = apply(add_to(marked, tokens, both, share), given, 1, 5)
    torch.testing.assert_close(added, torch.where(at, given + share * values, given))


def test_random_directions_are_as_long_as_what_they_stand_for_and_drawn_for_every_scene():
    difference = torch.randn(3, 40, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    scenes = np.repeat([f"scene {i}" for i in range(20)], 2)
    places = np.tile(np.arange(4), (3, 1))
    found = draw_same_norm(difference, places, scenes, np.random.default_rng(0))
    torch.testing.assert_close(found.norm(dim=-1), difference.norm(dim=-1))
    unit = found / found.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(unit[:, 0::2], unit[:, 1::2])
    assert (unit[:, 0] * unit[:, 2]).sum(-1).abs().max() < 0.999


def test_a_random_direction_is_drawn_for_the_place_of_a_head_and_not_for_its_number():
    rng = np.random.default_rng(0)
    difference = torch.randn(3, 6, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    scenes = np.arange(6).astype(str)
    places, order = (np.array([rng.permutation(4) for _ in range(3)]) for _ in range(2))

    def renumber(values):
        return torch.stack([of[:, :, new] for of, new in zip(values, order, strict=True)])

    found = draw_same_norm(difference, places, scenes, np.random.default_rng(5))
    moved = np.take_along_axis(places, order, 1)
    of_moved = draw_same_norm(renumber(difference), moved, scenes, np.random.default_rng(5))
    torch.testing.assert_close(of_moved, renumber(found))


def test_other_heads_are_as_many_in_every_layer_and_never_the_given_ones(subject):
    heads = [(2, 0), (2, 1), (4, 3)]
    scenes = np.repeat([f"scene {i}" for i in range(30)], 2)
    every = [(layer, head) for layer in range(subject.layers) for head in range(subject.heads)]
    places = np.tile(np.arange(subject.heads), (subject.layers, 1))
    others = OtherHeads(places, np.zeros(places.shape), tuple(every))
    marked = mark_other_heads(heads, others, subject, scenes, np.random.default_rng(0))
    own = mark_heads(heads, subject, len(scenes))
    assert not (marked & own).any()
    assert torch.equal(marked.sum(2), own.sum(2))
    assert torch.equal(marked[0::2], marked[1::2])
    assert len({tuple(row.flatten().tolist()) for row in marked}) > 5
