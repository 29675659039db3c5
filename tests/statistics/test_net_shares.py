"""Differences of paired shares: within [-1, 1], never surer than trials allow, right as often as they say.

Where each item is a scene of its own, coverage is counted over all tables that n items can give, not simulated.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats as oracle
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, xlogy

from harness.calibration.coverage import TOLERANCE
from harness.statistics.estimate import mean
from harness.statistics.shares import mean_share, net_share, subtract_shares


def count(won: int, lost: int, n: int):
    """The estimate of n items, each a scene of its own, of which some were won and some lost."""
    return net_share([1] * won + [-1] * lost + [0] * (n - won - lost), range(n))


changes = st.lists(st.sampled_from([-1, 0, 1]), min_size=2, max_size=50)
levels = st.floats(0, 0.9999)


@st.composite
def clustered(draw):
    values = np.array(draw(changes))
    scene = st.integers(0, max(1, len(values) // 2))
    return values, draw(st.lists(scene, min_size=len(values), max_size=len(values)))


def test_a_published_interval_is_found_again():
    # Complete response before and after therapy: 6 and 16 of 161 patients (Cavo 2012), by Tango's interval in
    # Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables (2017), chapter 8.
    found = count(6, 16, 161)
    assert round(found.value, 4) == -0.0621
    assert [round(end, 4) for end in found.interval(0.95)] == [-0.1240, -0.0054]


@pytest.mark.parametrize(("won", "lost", "n"), [(7, 1, 21), (1, 0, 44), (30, 1, 34), (9, 9, 98)])
def test_at_its_ends_a_score_test_with_the_likeliest_losses_just_rejects(won, lost, n):
    found = count(won, lost, n)
    for end, wanted in zip(found.interval(0.95), (1.96, -1.96), strict=True):
        error = math.sqrt(variance_at(end, won, lost, n) / n)
        assert (found.value - end) / error == pytest.approx(wanted, abs=1e-3)


def variance_at(difference, won, lost, n):
    """Variance of an item's change with the share of losses that is likeliest if the difference is true."""

    def unlikely(lose):
        cells = (won, lose + difference), (lost, lose), (n - won - lost, 1 - 2 * lose - difference)
        return -sum(times * math.log(max(p, 1e-300)) for times, p in cells if times)

    bounds = max(0.0, -difference), (1 - difference) / 2
    fitted = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    return 2 * fitted.x + difference - difference**2


@given(st.integers(0, 40), st.integers(0, 40))
@example(12, 0)
def test_at_zero_it_is_mcnemars_test(won, lost):
    found = count(won, lost, 90)
    z = (won - lost) / math.sqrt(won + lost) if won + lost else 0.0
    for side, expected in (("above", oracle.norm.sf(z)), ("below", oracle.norm.cdf(z))):
        assert found.p_value(0, side) == pytest.approx(max(expected, found.resolution), rel=1e-4)


def test_a_share_that_is_always_moved_is_not_known_exactly():
    found = count(33, 0, 33)
    z = 1.959964
    assert found.interval(0.95) == pytest.approx(((33 - z**2) / (33 + z**2), 1.0), abs=1e-6)
    assert mean(np.ones(33), range(33)).interval(0.95) == (1, 1)


def test_trials_of_which_none_changed_leave_room_on_both_sides():
    found, z = count(0, 0, 33), 1.959964
    assert found.interval(0.95) == pytest.approx((-(z**2) / (33 + z**2), z**2 / (33 + z**2)))


def test_one_item_that_turned_the_other_way_does_not_widen_the_interval_to_nothing():
    items = [1] * 30 + [0] * 3 + [-1]
    assert mean(items, range(34)).interval(0.95)[0] < 0.25
    assert count(30, 1, 34).interval(0.95) == pytest.approx((0.616, 0.943), abs=1e-3)


def test_no_end_lies_outside_of_what_a_difference_can_be():
    assert mean([1] * 33 + [0] * 2, range(35)).interval(0.95)[1] > 1
    for n in (12, 22, 35):
        for won in range(n + 1):
            low, high = count(won, n - won, n).interval(0.95)
            assert -1 <= low < high <= 1


@given(clustered(), levels)
def test_every_interval_holds_the_value_and_stays_within_its_limits(items, level):
    for found in (net_share(*items), mean_share((items[0] + 1) / 2, items[1])):
        lowest = -1 if found.method.startswith("Tango") else 0
        low, high = found.interval(level)
        assert lowest - 1e-12 <= low <= found.value + 1e-12
        assert found.value - 1e-12 <= high <= 1 + 1e-12
        if level > 0.5:
            assert high - low > 1e-3


@given(clustered(), st.lists(st.floats(-0.9999, 0.9999), min_size=2, max_size=2))
def test_a_higher_level_gives_a_wider_interval_also_below_zero(items, pair):
    less, more = sorted(pair)
    for found in (net_share(*items), mean_share((items[0] + 1) / 2, items[1])):
        (low, high), (lowest, highest) = found.interval(less), found.interval(more)
        assert lowest <= low + 1e-12
        assert high <= highest + 1e-12


@given(clustered())
def test_exchanging_the_two_conditions_turns_the_sign(items):
    values, scenes = items
    low, high = net_share(values, scenes).interval(0.9)
    assert net_share(-values, scenes).interval(0.9) == pytest.approx((-high, -low))


@given(clustered(), st.randoms(use_true_random=False))
def test_order_of_items_and_names_of_scenes_do_not_matter(items, random):
    values, scenes = items
    order = list(range(len(values)))
    random.shuffle(order)
    names = [f"scene {7 * scenes[i]}" for i in order]
    for estimator, numbers in ((net_share, values), (mean_share, (values + 1) / 2)):
        expected = estimator(numbers, scenes).interval(0.95)
        assert estimator(numbers[order], names).interval(0.95) == pytest.approx(expected)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_two_outcomes_of_each_item_are_counted_as_won_and_lost(pairs):
    a, b = np.array(pairs).T
    scenes = np.arange(len(a)) // 2
    found = subtract_shares(a, b, scenes)
    assert found.value == pytest.approx(a.mean() - b.mean())
    expected = net_share(a.astype(int) - b.astype(int), scenes)
    assert found.interval(0.95) == expected.interval(0.95)
    assert found.evidence.values.tolist() == expected.evidence.values.tolist()


def test_copies_of_one_trial_per_scene_add_nothing_but_the_t_quantile():
    values = np.array([1] * 14 + [-1] * 3 + [0] * 13)
    copied = net_share(np.repeat(values, 5), np.repeat(np.arange(30), 5))
    # The design effect of five copies, by the definition with n - 1 in both variances.
    effective = 150 / ((1 / 29) / (1 / 149))
    t = oracle.t.ppf(0.975, 29)
    for end, wanted in zip(copied.interval(0.95), (t, -t), strict=True):
        error = math.sqrt(variance_at(end, 14, 3, 30) / effective)
        assert (copied.value - end) / error == pytest.approx(wanted, abs=1e-3)
    assert (copied.n, copied.clusters, copied.method) == (150, 30, "Tango, clustered")


def test_where_all_items_agree_each_scene_counts_once():
    scenes = np.repeat(np.arange(20), 10)
    t = oracle.t.ppf(0.975, 19) ** 2
    assert net_share(np.zeros(200), scenes).interval(0.95)[1] == pytest.approx(t / (20 + t))
    assert mean_share(np.ones(200), scenes).interval(0.95)[0] == pytest.approx(20 / (20 + t))
    assert net_share([1, 1, 0], "aaa").interval(0.95) == (-1, 1)
    assert mean_share([1, 1, 0], "aaa").interval(0.95) == (0, 1)


def test_random_heads_that_sometimes_matter_count_by_their_draw():
    # In one of four draws of heads the control does what the edit does, in all trials of that draw.
    draws = np.repeat(np.arange(24), 5)
    moved, control = np.ones(120, bool), draws % 4 == 0
    low, high = subtract_shares(moved, control, draws).interval(0.95)
    narrow = subtract_shares(moved, control, range(120)).interval(0.95)
    alone = subtract_shares(moved[::5], control[::5], range(24)).interval(0.95)
    assert high - low > 1.8 * (narrow[1] - narrow[0])
    assert high - low > alone[1] - alone[0]


@pytest.mark.parametrize("bad", [[0.5, 1.0], [2, 1], ["yes", "no"], [math.nan, 1.0]])
def test_what_is_neither_right_nor_wrong_is_refused(bad):
    with pytest.raises(ValueError, match="must be booleans"):
        subtract_shares(bad, [1, 0], "ab")
    with pytest.raises(ValueError, match="must be booleans"):
        subtract_shares([1, 0], bad, "ab")


def test_what_has_no_place_in_a_share_is_refused():
    with pytest.raises(ValueError, match=r"\(2,\) against \(3,\)"):
        subtract_shares([1, 0], [1, 0, 1], "ab")
    with pytest.raises(ValueError, match="1, 0 or -1"):
        net_share([0.5, 1], "ab")
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        mean_share([0.5, 1.1], "ab")
    for estimator in (net_share, mean_share):
        with pytest.raises(ValueError, match="2 cluster labels"):
            estimator([1, 0, 1], "ab")


# How often the interval holds the truth, counted.

RATES = (0.0, 0.02, 0.5, 0.98, 1.0)
ALIKE = (0.0, 0.3, 0.6, 0.9)


class Tables:
    """All tables that n items can give, with the interval of each."""

    def __init__(self, n: int) -> None:
        self.n = n
        pairs = [(won, lost) for won in range(n + 1) for lost in range(n + 1 - won)]
        self.counts = np.array([(won, lost, n - won - lost) for won, lost in pairs])
        self.ends = np.array([count(won, lost, n).interval(0.95) for won, lost in pairs])

    def share_covered(self, a: float, b: float, correlation: float) -> float | None:
        """How often the interval holds a - b; None where two such shares cannot correlate so strongly."""
        both = a * b + correlation * math.sqrt(a * (1 - a) * b * (1 - b))
        cells = np.round([a - both, b - both, 1 - a - b + 2 * both], 12)
        if (cells < 0).any():
            return None
        low, high = self.ends.T
        holds = (low <= a - b + 1e-9) & (a - b <= high + 1e-9)
        counts = self.counts[holds]
        logs = gammaln(self.n + 1) - gammaln(counts + 1).sum(1) + xlogy(counts, cells).sum(1)
        return float(np.exp(logs).sum())


SIZES = [12, 30, pytest.param(70, marks=pytest.mark.deep)]


@pytest.fixture(scope="module", params=SIZES)
def tables(request):
    return Tables(request.param)


def test_coverage_is_right_at_any_rate_at_which_two_items_are_won_and_two_lost(tables):
    found = []
    tenths = np.arange(1, 10) / 10
    for a, b, alike in itertools.product(tenths, tenths, ALIKE[:3]):
        both = a * b + alike * math.sqrt(a * (1 - a) * b * (1 - b))
        if min(a - both, b - both) * tables.n >= 2:
            found.append(tables.share_covered(a, b, alike))
    assert len(found) >= 16
    assert TOLERANCE[0] <= min(found) <= max(found) <= TOLERANCE[1]


def test_coverage_is_never_too_low_on_average_over_rates_two_points_apart(tables):
    # At a single rate near 1 the table that is likeliest may miss it, as with any interval of a share: of 12
    # items a rate of 0.975 less none is held in 85 of 100 cases. Near 0 it is held in nearly all.
    steps = np.linspace(-0.02, 0.02, 5)
    for a, b, alike in itertools.product(RATES, RATES, ALIKE):
        around = (
            tables.share_covered(min(1, max(0, a + x)), min(1, max(0, b + y)), alike)
            for x, y in itertools.product(steps, steps)
        )
        found = [share for share in around if share is not None]
        if found:
            assert np.mean(found) >= TOLERANCE[0], (a, b, alike)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 1), (1, 0), (0, 1)])
def test_a_difference_that_is_certain_is_always_held(tables, a, b):
    assert tables.share_covered(a, b, 0) == pytest.approx(1)
