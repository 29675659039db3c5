"""Readings of causes on measurements whose answer is known, above all those in which nothing happens."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.experiments.visual_symbols.degrade import EDITS, STEPS
from harness.readings.visual_symbols.blank import Blank
from harness.readings.visual_symbols.degrade import Degrade
from harness.readings.visual_symbols.through_selection import ThroughSelection

N = 200
SCENES = np.array([f"scene {i}" for i in range(N)])


def flip(share, rng, n=N):
    return rng.random(n) < share


def degraded(right, follows, heads=5, ranked=20, seed=0):
    """Shares of right answers and of those that follow, by edit and step."""
    rng = np.random.default_rng(seed)
    draw = rng.random(N)
    shares = [np.array([[of[e](s) for s in STEPS] for e in EDITS]) for of in (right, follows)]
    return Degrade(
        xr.Dataset(
            {
                "right": (("edit", "step", "trial"), draw < shares[0][..., None]),
                "follows": (("edit", "step", "trial"), draw < shares[1][..., None]),
                "scene": (("trial",), SCENES),
                "ranked": ranked,
                "heads": heads,
                "others": heads,
            },
            {"edit": list(EDITS), "step": list(STEPS)},
        )
    )


def everywhere(of):
    return dict.fromkeys(EDITS, of)


NOTHING = everywhere(lambda s: 0.02)


FALLING = everywhere(lambda s: 0.9 - 0.5 * s)


def test_damage_that_any_mean_does_is_no_error_of_degraded_ids():
    read = degraded(FALLING, NOTHING)
    assert read.errors().interval(0.95)[1] < 0.07
    for control in ("random direction", "other heads"):
        assert read.follows(control).interval(0.95)[1] < 0.1
    assert not read.smallest_step().applies


def test_errors_are_those_that_the_own_id_does_not_make():
    read = degraded(FALLING | {"own cell": lambda s: 0.9}, NOTHING)
    assert read.errors().interval(0.95)[0] > 0.07


def test_a_dose_that_takes_answers_back_is_not_monotone():
    follows = NOTHING | {"other cell": lambda s: 0.6 if s == 0.5 else 0.3 if s else 0.0}
    read = degraded(everywhere(lambda s: 0.9), follows)
    assert read.smallest_step().interval(0.95)[1] < -0.05


def test_a_subject_that_names_nothing_right_has_no_errors_to_make():
    read = degraded(everywhere(lambda s: 0.1), NOTHING)
    for estimate in (read.errors(), read.follows("other heads"), read.smallest_step()):
        assert not estimate.applies


def test_no_ranked_head_and_no_known_id_are_told_apart():
    read = degraded(everywhere(lambda s: 0.9), NOTHING, heads=0)
    assert not read.errors().applies
    absent = degraded(everywhere(lambda s: 0.9), NOTHING, heads=0, ranked=0).errors()
    assert absent.value is None
    assert absent.applies
    assert absent.settled


def chain(nothing, selection, others, patched=5, selecting=4):
    rng = np.random.default_rng(0)
    whole = nothing + rng.normal(0, 1, N)
    effect = np.stack([whole, selection * whole, others * whole])
    return ThroughSelection(
        xr.Dataset(
            {
                "effect": (("held", "trial"), effect),
                "scene": (("trial",), SCENES),
                "patched": patched,
                "retrieving": 5,
                "selecting": selecting,
                "held_heads": 2,
                "others": 2,
            },
            {"held": ["nothing", "selection", "other heads"]},
        )
    )


@pytest.mark.parametrize("left", [0.0, 0.3, 1.0], ids=["none", "some", "all"])
def test_the_share_of_an_effect_that_is_left_is_found(left):
    read = chain(4.0, left, 1.0)
    assert read.left().value == pytest.approx(left)
    assert read.spared().value == pytest.approx(1 - left)


def test_an_effect_that_is_not_there_has_no_shares():
    assert not chain(0.0, 0.0, 1.0).left().applies
    assert not chain(4.0, 0.0, 1.0, patched=0).left().applies


def test_the_interval_of_a_share_holds_it_as_often_as_it_says():
    held, runs = 0, 300
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        whole = rng.normal(2, 1.5, 48)
        left = 0.4 * whole + rng.normal(0, 0.5, 48)
        data = xr.Dataset(
            {
                "effect": (("held", "trial"), np.stack([whole, left, whole])),
                "scene": (("trial",), SCENES[:48]),
                "patched": 1,
                "retrieving": 1,
                "selecting": 1,
            },
            {"held": ["nothing", "selection", "other heads"]},
        )
        low, high = ThroughSelection(data).left().interval(0.95)
        held += low < 0.4 < high
    assert held / runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def blank(own, without):
    rng = np.random.default_rng(0)
    right = np.stack([flip(own, rng), flip(without, rng)])
    return Blank(
        xr.Dataset(
            {"right": (("image", "trial"), right), "scene": (("trial",), SCENES)},
            {"image": ["own", "blank"]},
        )
    )


def test_elimination_from_the_text_is_seen_and_a_silent_subject_says_nothing():
    assert blank(0.99, 0.95).without_image().interval(0.95)[0] > 0.33
    assert blank(0.99, 0.1).without_image().interval(0.95)[1] < 0.33
    assert not blank(0.1, 0.1).without_image().applies


def test_a_mean_of_any_cell_that_makes_answers_guesses_points_nowhere():
    guessed = NOTHING | {"own cell": lambda s: 0.4 * s, "other cell": lambda s: 0.4 * s}
    for control in ("random direction", "other heads"):
        assert degraded(FALLING, guessed).follows(control).interval(0.95)[0] < 0.1
        assert degraded(FALLING, guessed).smallest_step().value is None
        led = guessed | {"own cell": lambda s: 0.02}
        assert degraded(FALLING, led).follows(control).interval(0.95)[0] > 0.1


def test_retrieval_without_selection_is_no_chain():
    found = chain(4.0, 0.0, 1.0, patched=0, selecting=0)
    for estimate in (found.left(), found.spared()):
        assert estimate.applies
        assert estimate.settled
        assert estimate.value is None
