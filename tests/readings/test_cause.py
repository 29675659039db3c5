"""Readings of causes on measurements whose answer is known, above all those in which nothing happens."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.experiments.visual_symbols.degrade import EDITS, STEPS
from harness.readings.decoding import explain_unreadable
from harness.readings.visual_symbols.blank import Blank
from harness.readings.visual_symbols.degrade import Degrade
from harness.readings.visual_symbols.entropy import Entropy
from harness.readings.visual_symbols.repair import Repair
from harness.readings.visual_symbols.through_selection import ThroughSelection
from harness.statistics.looks import ALL_TRIALS

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


def repaired(
    plain,
    gains,
    points_right,
    read=0.9,
    scored="color and shape",
    kept=0.6,
    followed=(0.4, 0.4, 0.4),
    seed=0,
):
    """Crowded trials: share right, gains where the ID is wrong and right, share that points right."""
    rng = np.random.default_rng(seed)
    points = flip(points_right, rng)
    draw = rng.random(N)
    gain = np.where(points, gains[1], gains[0])
    data = {
        "plain": draw < plain,
        "repaired": draw < plain + gain,
        "misled": flip(0.1, rng),
        "kept": flip(kept, rng),
        "points_right": points,
        "scene": SCENES,
        "part": np.repeat("evaluation", N),
    }
    found = {name: (("trial",), values) for name, values in data.items()}
    follows = np.stack([flip(share, rng) for share in followed])
    return Repair(
        xr.Dataset(
            {
                **found,
                "plain_color": found["plain"],
                "repaired_color": found["repaired"],
                "follows": (("edit", "trial"), follows),
                "held": (("clear",), np.ones(N, bool)),
                "decoded": (("clear",), flip(read, rng)),
                "clear_scene": (("clear",), SCENES),
                "ranked": 10,
                "heads": 5,
                "misled_heads": 5,
            },
            {"edit": ["wrong position", "random vector", "true position"]},
            {"scored": scored},
        )
    )


def test_a_repair_that_helps_wrong_ids_is_told_from_one_that_helps_all_alike():
    assert repaired(0.4, (0.5, 0.0), 0.5).gain_where_wrong().interval(0.95)[0] > 0.2
    alike = repaired(0.4, (0.3, 0.3), 0.5).gain_where_wrong()
    assert alike.interval(0.95)[0] < 0 < alike.interval(0.95)[1]


@pytest.mark.parametrize(
    "case",
    [
        {"points_right": 1.0},
        {"points_right": 0.0},
        {"points_right": 0.5, "read": 1 / 9},
        {"points_right": 0.5, "plain": 0.95},
    ],
    ids=["all right", "all wrong", "not readable", "few errors"],
)
def test_there_is_nothing_to_compare_without_wrong_ids_or_a_way_to_read_them(case):
    found = repaired(**{"plain": 0.4, "gains": (0.3, 0.0), **case}).gain_where_wrong()
    assert not found.applies


def test_an_id_that_leads_no_further_than_a_random_vector_does_not_mislead():
    found = repaired(0.6, (0.0, 0.0), 0.5).misled()
    assert found.interval(0.95)[0] < 0.1
    assert repaired(0.6, (0.0, 0.0), 0.5).harm().interval(0.95)[0] > 0


@pytest.mark.parametrize("control", [1, 2], ids=["random vector", "true position"])
def test_an_id_misleads_only_if_it_leads_further_than_either_control(control):
    followed = [0.4, 0.02, 0.02]
    assert repaired(0.6, (0.0, 0.0), 0.5, followed=followed).misled().interval(0.95)[0] > 0.1
    followed[control] = 0.4
    assert repaired(0.6, (0.0, 0.0), 0.5, followed=followed).misled().interval(0.95)[0] < 0.1


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


def test_a_prototype_of_any_position_that_takes_answers_away_does_no_harm_by_its_id():
    low, high = repaired(0.6, (0.0, 0.0), 0.5, kept=0.1).harm().interval(0.95)
    assert low < 0 < high


@pytest.mark.parametrize(
    ("scored", "guess"),
    [("color and shape", 1 / 9), ("color alone", 1 / 3)],
    ids=["object", "color"],
)
def test_guesses_cannot_be_led_astray(scored, guess):
    read = repaired(guess, (0.0, 0.0), 0.5, scored=scored)
    assert not read.harm().applies
    assert not read.misled().applies


def test_readings_say_what_of_an_answer_was_compared():
    read = repaired(0.5, (0.2, 0.2), 0.5)
    assert read.gain().method.endswith("; color and shape")
    assert read.gain(color=True).method.endswith("; color alone")


def crowded(high, low, follow=0.0, read=0.9, seed=0):
    """Four sets: shares right with high and low entropy, errors that follow the ID, and IDs read right."""
    rng = np.random.default_rng(seed)
    sets = ["high 2x2", "low 2x2", "high 3x3", "low 3x3"]
    right = np.array([flip(share, rng) for share in (1.0, 1.0, high, low)])
    names = np.array([f"object {i}" for i in range(9)])
    pointed, named = names[rng.integers(9, size=(2, N))]
    named = np.where(flip(follow, rng), pointed, named)
    layers = 9
    curve = np.exp(-0.5 * (np.arange(layers) - 4.0) ** 2)
    r = (
        np.broadcast_to(curve, (4, 4, 2, layers))
        * np.array([0.8, 0.4, 0.5, 0.1])[:, None, None, None]
    )
    return Entropy(
        xr.Dataset(
            {
                "r": (("set", "place", "half", "layer"), r),
                "r_draws": (
                    ("set", "place", "draw", "layer"),
                    r[:, :, :1] + 0.01 * rng.normal(size=(4, 4, 100, layers)),
                ),
                "right": (("set", "trial"), right),
                "right_color": (("set", "trial"), right),
                "scene": (("set", "trial"), np.tile(SCENES, (4, 1))),
                "n": (("set",), [N] * 4),
                "scenes": (("set",), [N] * 4),
                "pointed": (("trial",), pointed),
                "named": (("trial",), named),
                "held": (("trial",), np.ones(N, bool)),
                "decoded": (("trial",), flip(read, rng)),
            },
            {
                "set": sets,
                "place": ["separator", "noun", "color", "last"],
                "half": ["estimation", "evaluation"],
            },
            {"scored": "color and shape"},
        )
    )


def test_errors_follow_an_id_that_can_be_read():
    assert crowded(0.9, 0.4, follow=0.6).errors_predicted().interval(0.95)[0] > 0.3
    assert crowded(0.9, 0.4).errors_predicted().interval(0.95)[1] < 0.1


def test_no_difference_of_shares_is_known_exactly_where_all_answers_are_alike():
    low, high = crowded(1.0, 0.0).accuracy_gap("3x3").interval(0.95)
    assert 0.95 < low < high == 1
    found = crowded(0.9, 0.8, follow=1.0).errors_predicted()
    low, high = found.interval(0.95)
    assert low < found.value - 0.02
    assert found.value + 0.02 < high <= 1
    nothing = repaired(0.5, (0.0, 0.0), 0.5)
    for estimate in (nothing.gain(), nothing.gain_where_wrong()):
        low, high = estimate.interval(0.95)
        assert low < -0.01 < 0.01 < high


def test_what_is_kept_of_a_comparison_adds_up_to_its_estimate():
    """A baseline is refused if its evidence has another mean or another number of items."""
    read, twice = crowded(0.9, 0.4, follow=0.5), repaired(0.5, (0.3, 0.1), 0.5)
    estimates = [
        read.accuracy_gap("3x3"),
        read.accuracy_gap("2x2", color=True),
        read.errors_predicted(),
        twice.gain(),
    ]
    for estimate in estimates:
        assert estimate.evidence.values.mean() == pytest.approx(estimate.value)
        assert len(estimate.evidence.scenes) == len(estimate.evidence.values) == estimate.n


@pytest.mark.parametrize("follow", [0.3, 1.0])
def test_how_far_errors_follow_the_id_is_held_as_often_as_it_says(follow):
    # Of nine objects that are named and pointed to alike, one in nine is what chance gives.
    truth, runs = follow * 8 / 9, 200
    found = (crowded(0.9, 0.8, follow, seed=seed).errors_predicted() for seed in range(runs))
    held = sum(low <= truth <= high for low, high in (e.interval(0.95) for e in found))
    assert held / runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_an_id_that_cannot_be_read_refutes_nothing():
    found = crowded(0.9, 0.4, read=1 / 9).errors_predicted()
    assert found.value is None
    assert not found.applies


def test_accuracy_cannot_fall_where_clear_scenes_are_not_answered():
    assert not crowded(0.1, 0.1).accuracy_gap("3x3").applies
    assert not crowded(0.2, 0.05).accuracy_gap("3x3", color=True).applies
    assert crowded(0.7, 0.3).accuracy_gap("3x3").interval(0.95)[0] > 0.2


def test_four_objects_are_read_at_the_peak_and_nine_over_five_layers_as_published():
    read = crowded(0.9, 0.4)
    assert read.position_gap("2x2", "last").value == pytest.approx(0.4)
    around = np.exp(-0.5 * np.arange(-2.0, 3.0) ** 2).mean()
    assert read.position_gap("3x3", "last").value == pytest.approx(0.4 * around)


def test_positions_are_lost_at_the_token_of_mentions_that_each_set_has_them_at():
    data = crowded(0.9, 0.4).data.copy(deep=True)
    read = Entropy(data)
    assert read.position_gap("2x2", "mentions").value == pytest.approx(0.4)
    assert read.position_gap("2x2", "mentions").method.endswith("; at the separator")
    for name in ("r", "r_draws"):
        data[name].loc[{"set": "high 2x2", "place": ["separator", "color"]}] *= 0.2
        data[name].loc[{"set": "low 2x2", "place": ["separator", "noun"]}] *= 0.5
    moved = Entropy(data).position_gap("2x2", "mentions")
    assert moved.value == pytest.approx(0.4)
    assert moved.method.endswith("; at the noun and color")
    # The half that judges does not choose the token.
    data.r.loc[{"set": "high 2x2", "place": "separator", "half": "evaluation"}] = 5.0
    assert Entropy(data).position_gap("2x2", "mentions").value == pytest.approx(0.4)


def test_too_few_clear_scenes_leave_it_open_whether_ids_can_be_read():
    few = np.arange(N) < 8
    found = explain_unreadable(few, few, SCENES, ALL_TRIALS)
    assert found is not None
    assert found.applies
    assert not found.settled
    half = explain_unreadable(np.ones(N, bool), np.arange(N) % 2 == 0, SCENES, ALL_TRIALS)
    assert half is None


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
