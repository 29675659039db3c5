"""Untrained and misled variants of subjects: what they change, and what they leave as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.scene import EMBEDDED_GRIDS
from harness.subjects.contents import take_fingerprint
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
    assert len({take_fingerprint(find(n, REGISTRY)) for n in names}) == len(names)
    assert take_fingerprint(find("untrained:0", REGISTRY)) == take_fingerprint(
        find("untrained", REGISTRY)
    )


@pytest.mark.parametrize("name", ["tiny-llava:7", "untrained:many", "planted:capital:chat"])
def test_an_unknown_variant_lists_what_there_is(name):
    with pytest.raises(UnknownSubject, match=f"{name.split(':')[0]}:wrong-image, .*:shuffled"):
        find(name, REGISTRY)


@pytest.mark.parametrize("name", ["untrained:017", "untrained:²", "untrained:9" + 20 * "9"])
def test_a_seed_spelt_another_way_is_an_unknown_variant(name):
    with pytest.raises(UnknownSubject, match="there are: untrained:SEED"):
        find(name, REGISTRY)


@pytest.fixture(scope="module")
def trials():
    return draw_balanced_trials(EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 400, np.random.default_rng(0))


@pytest.fixture(scope="module")
def subjects(checkpoints):
    entry = entry_for(checkpoints["tiny-llava"])
    return {how: load(replace(entry, misled=how)) for how in ("", "wrong-image", "shuffled")}


def test_a_wrong_image_stands_beside_the_right_prompt(subjects, trials):
    plain, misled = (subjects[how].encode(trials[:6]) for how in ("", "wrong-image"))
    assert torch.equal(plain.input_ids, misled.input_ids)
    assert plain.mentions == misled.mentions
    image = plain.input_ids[0] == subjects[""].model.config.image_token_id
    differ = (plain.inputs["inputs_embeds"] != misled.inputs["inputs_embeds"]).any(-1)
    assert differ[:, image].any(1).all()
    assert not differ[:, ~image].any()


def test_shuffled_trials_agree_with_their_images(subjects, trials):
    plain, misled = (subjects[how].encode(trials[:6]) for how in ("", "shuffled"))
    assert plain.mentions == misled.mentions
    for trial in misled.trials:
        # What is shown is a correct trial: its image holds what its prompt says.
        assert {*trial.described, trial.target} == set(trial.scene.objects)
        assert trial.prompt.answer == trial.target.color


@pytest.mark.parametrize("how", ["wrong-image", "shuffled"])
def test_what_is_shown_depends_on_the_trial_alone(subjects, trials, how):
    subject = subjects[how]
    together = subject.encode(trials[:5])
    for row in range(5):
        alone = subject.encode([trials[row]])
        assert alone.trials[0] == together.trials[row]
        other = subject.encode([trials[7], trials[row]])
        assert other.trials[1] == together.trials[row]


@pytest.mark.parametrize("how", ["wrong-image", "shuffled"])
def test_what_is_shown_tells_nothing_about_the_labels(subjects, trials, how):
    shown = [t for s in range(0, 400, 50) for t in subjects[how].encode(trials[s : s + 50]).trials]
    # An object of the same color is at the target's cell as often as chance has it: one in nine.
    at_target = [
        t.scene.cell_of(t.target) and s.scene.at(t.scene.cell_of(t.target)).color == t.target.color
        for t, s in zip(trials, shown, strict=True)
    ]
    assert 0.05 < np.mean(at_target) < 0.18


def test_two_sides_of_a_contrast_stay_a_contrast(subjects):
    pair = draw_contrasts(
        "id_selection", EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 1, np.random.default_rng(0)
    )[0]
    clean, other = (
        subjects["shuffled"].encode([t]).trials[0] for t in (pair.clean, pair.counterfactual)
    )
    assert clean.prompt == other.prompt
    assert other.scene == clean.scene.swapped(clean.target, clean.described[0])
