"""What comes before what: onsets on curves and heads whose order is known, and how often the order is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from harness.calibration import depths
from harness.calibration.depths import simulate_depths
from harness.calibration.order_tables import CLAIMED, find_errors
from harness.calibration.orders import (
    KINDS,
    SIZES,
    WIDE,
    WITHOUT_ORDER,
    Size,
    add_noise,
    draw_curves,
    judge,
    simulate_rules,
)
from harness.judging import published
from harness.statistics.orders import (
    SHARES,
    Code,
    estimate_depth_order,
    estimate_order,
    find_onset,
)

SCENES = 144
GAPS = (-1, 0, 1, 2)
PAPER = published.load("assouel2026")

# Measured on a model with trained-in stages: the features of the target are at its last token before any
# position, fade when the position arrives, and come back a little higher.
FEATURES_WITH_A_DIP = [0.15, 0.30, 0.45, 0.591, 0.42, 0.35, 0.55, 0.624]
POSITION_AT_LAST = [0.00, 0.01, 0.01, 0.05, 0.58, 0.60, 0.45, 0.35]
# The position at the mentions of the same model, which stays from the layer that writes it on.
POSITION_AT_MENTIONS = [0.01, 0.02, 0.385, 0.39, 0.40, 0.41, 0.418, 0.40]


def measure(name, curve, seed=0):
    seen, draws = add_noise(np.array(curve, float), SCENES, 0.35, np.random.default_rng(seed))
    return Code(name, seen, draws)


def order(earlier, later, **options):
    return estimate_order(earlier, later, n=SCENES, clusters=SCENES, **options)


def exact(name, curve):
    return Code(name, np.array(curve, float), np.tile(np.array(curve, float), (200, 1)))


@pytest.mark.parametrize("seed", range(5))
def test_features_that_dip_and_come_back_do_not_come_after_the_position(seed):
    position = measure("position", POSITION_AT_LAST, seed)
    features = measure("features", FEATURES_WITH_A_DIP, 100 + seed)
    assert np.argmax(features.curve) > np.argmax(position.curve)
    supported, _ = judge(order(position, features))
    assert not supported
    assert judge(order(features, position)) == (True, False)


@pytest.mark.parametrize("seed", range(5))
def test_a_code_that_stays_comes_before_one_that_appears_later(seed):
    mentions = measure("mentions", POSITION_AT_MENTIONS, seed)
    position = measure("position", POSITION_AT_LAST, 100 + seed)
    found = order(mentions, position)
    assert (found.value, judge(found)) == (2, (True, False))
    assert judge(order(position, mentions)) == (False, True)


PUBLISHED = [s for s in PAPER.subjects if PAPER.curve(s, "features@last") is not None]


def find_published(subject, share):
    pairs = ("position@mentions", "position@last", "features@last")
    return [
        float(find_onset(c, share)) for p in pairs if (c := PAPER.curve(subject, p)) is not None
    ]


@pytest.mark.parametrize("subject", PUBLISHED)
def test_by_three_quarters_onsets_of_published_curves_are_in_the_order_of_the_paper(subject):
    onsets = find_published(subject, SHARES[1])
    assert len(onsets) >= 2
    assert onsets == sorted(set(onsets))
    assert onsets[0] > 0


def test_by_a_half_features_come_before_positions_in_four_of_seven_published_models():
    """What the prompt alone tells of the target has more than half of the height, and less than 3/4."""
    ordered = {s: (o := find_published(s, SHARES[0])) == sorted(set(o)) for s in PUBLISHED}
    assert (len(ordered), sum(ordered.values())) == (7, 3)


def test_an_order_that_depends_on_the_share_is_none():
    shelf, position = exact("features", [0, 0.6, 0.6, 0.6, 0.9]), exact("position", [0, 0, 0, 1, 1])
    assert judge(order(position, shelf)) == judge(order(shelf, position)) == (False, False)
    assert order(position, shelf).interval(0.95) == (-2, 1)
    assert judge(order(position, shelf, shares=(0.75, 0.75))) == (True, False)
    assert judge(order(shelf, position, shares=(0.5, 0.5))) == (True, False)


def test_a_part_of_a_code_that_is_there_from_the_first_layer_on_counts_from_a_half_on():
    position = exact("position", [0, 0, 1, 1])
    found = order(position, exact("features", [0.6, 0.6, 0.6, 0.9]))
    assert "features may be there from the first layer on" in found.reason
    assert "50% to 75% of its height" in found.reason
    assert judge(order(position, exact("features", [0.4, 0.4, 0.4, 0.9]))) == (True, False)


@given(
    arrays(float, st.integers(1, 12), elements=st.floats(-1, 1)),
    st.floats(0.05, 1),
    st.sampled_from([1e-6, 1.0, 40.0]),
)
def test_the_onset_is_the_first_layer_near_the_highest(curve, share, scale):
    found = float(find_onset(curve * scale, share))
    highest = max(curve) * scale
    if not highest > 0:
        assert math.isnan(found)
        return
    at = int(found)
    assert curve[at] * scale >= share * highest * (1 - 1e-8)
    assert all(value * scale < share * highest for value in curve[:at])
    assert at <= np.argmax(curve)


def test_onsets_of_many_curves_are_those_of_each_and_skip_layers_that_tell_nothing():
    rng = np.random.default_rng(0)
    curves = rng.normal(size=(4, 5, 9))
    curves[..., 3] = np.nan
    found = find_onset(curves)
    for i, j in np.ndindex(4, 5):
        assert found[i, j] == find_onset(curves[i, j]) != 3
    assert math.isnan(find_onset([np.nan, np.nan]))


@pytest.mark.parametrize("share", [0, -0.1, 1.1, math.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="above 0"):
        find_onset([0.1, 0.2], share)


def test_what_is_no_curve_is_refused():
    with pytest.raises(ValueError, match="layer"):
        find_onset([])
    with pytest.raises(ValueError, match="no order"):
        order(exact("a", [0, 1, 1]), exact("b", [0, 0, 0, 1]))


def test_two_codes_of_one_layer_have_no_order_however_their_heights_differ():
    low, high = exact("low", [0, 0, 0.3, 0.3]), exact("high", [0, 0.4, 0.9, 0.9])
    for pair in ((low, high), (high, low)):
        assert (order(*pair).value, judge(order(*pair))) == (0, (False, True))


@pytest.mark.parametrize("swapped", [False, True])
def test_a_code_that_is_there_from_the_first_layer_on_has_no_order(swapped):
    there, later = exact("what was there", [0.5, 0.6, 0.6, 0.5]), exact("later", [0, 0, 0, 0.7])
    found = order(*((later, there) if swapped else (there, later)))
    assert (found.value, found.settled) == (None, False)
    assert found.reason.startswith("what was there may be there from the first layer on")


def test_a_code_of_which_some_draws_are_there_from_the_first_layer_on_has_no_order():
    now_and_then, later = exact("a", [0, 0, 0.6, 0.6]), exact("b", [0, 0, 0, 0.7])
    now_and_then.draws[:20, 0] = 0.6
    assert "first layer" in order(now_and_then, later).reason
    now_and_then.draws[1:20, 0] = 0
    assert judge(order(now_and_then, later)) == (True, False)


@pytest.mark.parametrize("empty", ["curve", "draws"])
def test_a_code_that_is_in_no_layer_has_no_order(empty):
    code = exact("nothing", [0, 0, 0.6, 0.6])
    (code.curve if empty == "curve" else code.draws[0])[:] = -0.1
    found = order(code, exact("b", [0, 0, 0, 0.7]))
    assert (found.value, found.settled) == (None, False)
    assert "raise --trials" in found.reason


def assert_rare(share, n, chance=0.025):
    """A share of n simulated measurements is no more than chance and luck in 1 of 1000 tests allow."""
    assert round(share * n) <= binom.ppf(0.999, n, chance)


def assert_often(share, n, wanted=0.9):
    assert round(share * n) >= binom.ppf(0.001, n, wanted)


def check_rates(kind, size, repeats, seed, **noise):
    rules = {CLAIMED: SHARES}
    found = {
        gap: simulate_rules(kind, size, gap, repeats, seed, rules=rules, **noise)[CLAIMED]
        for gap in GAPS
    }
    without = kind in WITHOUT_ORDER
    for share in find_errors(kind, list(found.items())):
        assert_rare(share, repeats * (4 if without else 2))
    return found


@pytest.mark.parametrize("size", SIZES[:2], ids=str)
@pytest.mark.parametrize("kind", [*KINDS, "mixed", *WITHOUT_ORDER])
def test_an_order_is_wrong_as_rarely_as_the_level_says(kind, size):
    check_rates(kind, size, 30, 1)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("size", "noise"), [*((size, 0.35) for size in SIZES), (SIZES[1], WIDE)], ids=str
)
@pytest.mark.parametrize("kind", [*KINDS, "mixed", *WITHOUT_ORDER])
def test_an_order_is_wrong_as_rarely_as_the_level_says_at_every_size(kind, size, noise):
    check_rates(kind, size, 150, 2, spread=noise)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_order_is_found_one_layer_apart_if_clean_and_two_apart_on_plateaus(size):
    rules = {CLAIMED: SHARES}
    for kind, gap in (("clean peak", 1), ("plateau", 2)):
        found = simulate_rules(kind, size, gap, 60, 3, rules=rules)[CLAIMED]
        assert_often(found.supported, 60)


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_holds_the_gap_without_noise(kind):
    rng = np.random.default_rng(4)
    held, n = 0, 60
    for _ in range(n):
        gap = int(rng.integers(-2, 3))
        a, b = (
            Code("a code", *add_noise(c, 100, 0.35, rng)) for c in draw_curves(kind, 28, gap, rng)
        )
        found = order(a, b)
        # What is unsettled says nothing that could be wrong.
        low, high = found.interval(0.95) if found.value is not None else (-math.inf, math.inf)
        held += low <= gap <= high
    assert_often(held / n, n, 0.95)


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_curves_have_the_order_that_they_are_said_to_have(kind):
    rng = np.random.default_rng(5)
    for layers in (8, 40):
        for gap in (-2, *GAPS):
            for _ in range(20):
                a, b = draw_curves(kind, layers, gap, rng)
                apart = [find_onset(b, share) - find_onset(a, share) for share in SHARES]
                assert find_onset(b) - find_onset(a) == gap
                assert {bool(x > 0) for x in apart} == {gap > 0}
                assert min(find_onset(a, SHARES[0]), find_onset(b, SHARES[0])) > 0


def test_simulated_shelves_have_another_order_at_another_share():
    rng = np.random.default_rng(6)
    for _ in range(20):
        a, b = draw_curves("shelf", 28, 1, rng)
        assert (
            len({bool(find_onset(b, x) > find_onset(a, x)) for x in np.linspace(*SHARES, 11)}) == 2
        )


def test_the_highest_layer_is_wrong_where_a_code_stays_or_returns():
    rules = {"highest layer": lambda curves: curves.argmax(-1).astype(float)}
    wrong = 0.0
    for kind in ("plateau", "two peaks"):
        for gap in (0, 1):
            found = simulate_rules(kind, Size(28, 100), gap, 60, 6, rules=rules)["highest layer"]
            wrong += 60 * (found.refuted if gap else found.supported)
    # About two times as often as the level says; docs/orders.md has more runs.
    assert wrong / 240 > 0.04


def heads(*layers, strength=1.0, total=8):
    """What heads of one strength do in each layer, certain to the last digit."""
    return exact("heads", np.bincount(layers, minlength=total) * strength)


def depth_order(earlier, later):
    return estimate_depth_order(earlier, later, n=50, clusters=50)


def test_heads_lie_where_half_of_what_they_do_is_done():
    assert depth_order(heads(2, 2), heads(4, 4)).value == 2
    assert depth_order(heads(0, 0), heads(1, 1)).value == 1
    assert depth_order(heads(2, 3, 4), heads(5, 6, 7)).value == 3
    assert judge(depth_order(heads(3, 3), heads(3, 3, 3))) == (False, True)
    assert judge(depth_order(heads(5, 6), heads(2, 3))) == (False, True)


def test_stray_heads_that_do_little_move_no_order():
    strong, stray = heads(2, 2, strength=5.0), heads(7, 7, 7)
    together = Code("heads", strong.curve + stray.curve, strong.draws + stray.draws)
    assert depth_order(together, heads(4, 4)).value == 2


def test_intertwined_heads_have_no_order():
    both = heads(2, 3, 4, 5), heads(2, 3, 4, 5)
    for pair in (both, (heads(2, 2, 5, 5), heads(3, 3, 3)), (heads(2, 5), heads(3, 3, 6, 6, 1, 1))):
        found = depth_order(*pair)
        assert (found.value, found.settled) == (None, False)
        assert "intertwined" in found.reason


def check_depths(kind, layers, count, repeats, seed):
    shared = depths.KINDS[kind].shared
    for gap in (1,) if shared else (-1, 1):
        found = simulate_depths(kind, layers, count, gap, repeats, seed)
        claimed = found[next(iter(found))]
        assert_rare(claimed.refuted if gap > 0 and not shared else claimed.supported, repeats)
        if gap > 0 and not shared and not depths.KINDS[kind].strays:
            assert_often(claimed.supported, repeats)


@pytest.mark.parametrize("kind", depths.KINDS)
def test_an_order_of_heads_is_wrong_as_rarely_as_the_level_says(kind):
    check_depths(kind, 8, 8, 15, 7)


@pytest.mark.deep
@pytest.mark.parametrize("layers", [8, 28])
@pytest.mark.parametrize("kind", depths.KINDS)
def test_an_order_of_heads_is_wrong_as_rarely_as_the_level_says_in_many_runs(kind, layers):
    check_depths(kind, layers, layers, 200, 8)
