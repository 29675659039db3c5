"""Untrained and misled variants of subjects: what they change, and what they leave as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.stimuli.scene import EMBEDDED_GRIDS
from harness.subjects.loading import load
from harness.subjects.registry import UnknownSubject, find, read_registry

REGISTRY = read_registry()


def entry_for(folder):
    return find(str(folder), REGISTRY)


def weights(entry):
    return torch.cat([p.flatten() for p in load(entry).model.parameters()])


def test_random_weights_follow_their_seed_and_are_not_the_stored_ones(checkpoints):
    stored = entry_for(checkpoints["tiny-llava"])
    random = replace(stored, weights="random", seed=1)
    before = torch.random.get_rng_state()
    first = weights(random)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, weights(random))
    assert not torch.equal(first, weights(replace(random, seed=2)))
    assert not torch.equal(first, weights(stored))


def test_a_variant_has_a_fingerprint_of_its_own():
    names = ["untrained", "untrained:1", "untrained:2", "tiny-llava", "tiny-llava:shuffled"]
    names += ["tiny-llava:wrong-image"]
    assert len({find(n, REGISTRY).fingerprint() for n in names}) == len(names)
    assert find("untrained:0", REGISTRY).fingerprint() == find("untrained", REGISTRY).fingerprint()


@pytest.mark.parametrize("name", ["tiny-llava:7", "untrained:many", "tiny-llava:upside-down"])
def test_an_unknown_variant_lists_what_there_is(name):
    with pytest.raises(UnknownSubject, match=f"{name.split(':')[0]}:wrong-image, .*:shuffled"):
        find(name, REGISTRY)


def batches(checkpoints, misled):
    entry = entry_for(checkpoints["tiny-llava"])
    trials = balanced_trials(EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 6, np.random.default_rng(0))
    return load(entry).encode(trials), load(replace(entry, misled=misled)).encode(trials)


def test_a_wrong_image_stands_beside_the_right_prompt(checkpoints):
    plain, misled = batches(checkpoints, "wrong-image")
    assert torch.equal(plain.input_ids, misled.input_ids)
    shown = plain.input_ids[0] == plain.input_ids[0].mode().values
    moved = plain.inputs["inputs_embeds"].roll(-1, 0)[:, shown]
    assert torch.equal(misled.inputs["inputs_embeds"][:, shown], moved)
    assert not torch.equal(plain.inputs["inputs_embeds"][:, shown], moved)


def test_shuffled_trials_are_whole(checkpoints):
    plain, misled = batches(checkpoints, "shuffled")
    rolled = plain.inputs["inputs_embeds"].roll(-1, 0)
    assert torch.equal(misled.inputs["inputs_embeds"], rolled)
    assert misled.mentions == (*plain.mentions[1:], plain.mentions[0])
