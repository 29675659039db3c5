"""Readings of crowded scenes, with and without repairs, on measurements whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.readings.decoding import explain_unreadable
from harness.readings.visual_symbols.entropy import Entropy
from harness.readings.visual_symbols.repair import Repair
from harness.statistics.looks import ALL_TRIALS

N = 200
SCENES = np.array([f"scene {i}" for i in range(N)])


def flip(share, rng, n=N):
    return rng.random(n) < share


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


@pytest.mark.parametrize("control", [1, 2], ids=["random vector", "true position"])
def test_an_id_misleads_only_if_it_leads_further_than_either_control(control):
    followed = [0.4, 0.02, 0.02]
    assert repaired(0.6, (0.0, 0.0), 0.5, followed=followed).misled().interval(0.95)[0] > 0.1
    followed[control] = 0.4
    assert repaired(0.6, (0.0, 0.0), 0.5, followed=followed).misled().interval(0.95)[0] < 0.1
