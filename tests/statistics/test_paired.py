"""Changes between two runs: covered as often as said, sharper where scenes are shared, McNemar by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.statistics.estimate import mean, proportion
from harness.statistics.evidence import Evidence
from harness.statistics.paired import (
    count_trials_for,
    estimate_change,
    find_detectable_change,
    from_intervals,
    mcnemar,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def items(values, scenes=None):
    scenes = range(len(values)) if scenes is None else scenes
    return Evidence(np.asarray(values, float), tuple(map(str, scenes)))


def between(before, after, clusters=40):
    return estimate_change(before, after, (before.values.mean(), after.values.mean()), clusters)


rights = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


@given(rights)
def test_exchanging_before_and_after_turns_the_sign_of_a_change(pairs):
    a, b = (items(side) for side in zip(*pairs, strict=True))
    there, back = between(a, b), between(b, a)
    assert there.value == pytest.approx(-back.value)
    low, high = there.interval(0.95)
    assert back.interval(0.95) == pytest.approx((-high, -low))
    assert low <= there.value <= high


@given(rights)
def test_equal_runs_have_no_change_but_some_uncertainty(pairs):
    a = items([x for x, _ in pairs])
    found = between(a, a)
    low, high = found.interval(0.95)
    assert found.value == 0
    assert low == pytest.approx(-high)
    # Of so few trials one in thirty may change next time.
    assert high > 1 / 30


turns = st.lists(st.tuples(*[st.sampled_from([-1, 0, 1])] * 2), min_size=3, max_size=60)


@given(turns, st.integers(0, 2))
def test_a_change_of_net_shares_stays_in_its_limits_and_is_never_known_exactly(pairs, moved):
    a, b = zip(*pairs, strict=True)
    found = between(items(a), items(b, range(moved, moved + len(b))))
    low, high = found.interval(0.95)
    assert -2 <= low <= found.value <= high <= 2
    assert high - low > 1 / 30


def test_runs_that_agree_in_each_of_a_few_scenes_may_differ_in_the_next():
    # The same ten scenes, which the second run was asked about twice.
    a, b = items([1, 0] * 5), items([1, 0] * 10, list(range(10)) * 2)
    low, high = between(a, b).interval(0.95)
    assert low < -0.1
    assert high > 0.1


@given(rights)
def test_mcnemar_is_scipys_binomial_test_of_the_discordant_pairs(pairs):
    a, b = (items(side) for side in zip(*pairs, strict=True))
    lost = sum(x and not y for x, y in pairs)
    won = sum(y and not x for x, y in pairs)
    wanted = binomtest(lost, lost + won, 0.5).pvalue if lost + won else 1
    assert mcnemar(a, b) == pytest.approx(wanted)


def test_mcnemar_is_not_for_prompts_that_share_a_scene_nor_for_other_scenes():
    a = items([1, 0, 1], "aab")
    assert mcnemar(a, a) is None
    assert mcnemar(items([1, 0]), items([1, 0], (5, 6))) is None
    assert mcnemar(items([0.5, 0.2]), items([0.5, 0.2])) is None


def test_numbers_on_the_same_scenes_are_the_paired_difference(rng):
    a, noise = rng.normal(size=40), rng.normal(scale=0.1, size=40)
    found = between(items(a), items(a + noise + 1))
    direct = mean(noise + 1, range(40))
    assert found.interval(0.95) == pytest.approx(direct.interval(0.95))


def test_shared_scenes_narrow_the_interval_of_a_change_and_others_do_not(rng):
    scene = rng.normal(size=60)
    a, b = scene + rng.normal(scale=0.1, size=60), scene + rng.normal(scale=0.1, size=60)
    paired = between(items(a), items(b))
    most = between(items(a), items(b[:50], range(50)))
    apart = between(items(a), items(b, range(100, 160)))
    widths = [np.diff(e.interval(0.95))[0] for e in (paired, most, apart)]
    assert widths[0] < 0.4 * widths[2]
    assert widths[0] < widths[1] < widths[2]
    assert "50 of 60 scenes shared" in most.method


def test_draws_are_subtracted_draw_by_draw(rng):
    common, a, b = (rng.normal(scale=s, size=1000) for s in (1, 0.1, 0.1))
    same = estimate_change(Evidence(common + a), Evidence(common + b + 3), (0.0, 3.0), 100)
    other = estimate_change(
        Evidence(common + a), Evidence(rng.normal(size=1000) + 3), (0.0, 3.0), 100
    )
    assert np.diff(same.interval(0.95))[0] < 0.3 * np.diff(other.interval(0.95))[0]
    assert same.value == 3
    with pytest.raises(ValueError, match="999 draws against 1000"):
        estimate_change(Evidence(a[:999]), Evidence(b), (0, 0), 40)
    with pytest.raises(ValueError, match="items and the other"):
        estimate_change(items(a), Evidence(b), (0, 0), 40)


@pytest.mark.parametrize("shared", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("kind", ["shares", "net shares", "numbers"])
def test_intervals_of_changes_hold_the_truth_as_often_as_they_say(kind, shared):
    rng = np.random.default_rng(4)
    held, runs, scenes = 0, 1000, 30
    for _ in range(runs):
        easy = rng.normal(size=2 * scenes)
        at = [np.arange(scenes), np.arange(scenes) + round((1 - shared) * scenes)]
        sides = []
        for which, shift in zip(at, (0.0, -0.5), strict=True):
            latent = easy[which].repeat(2) + rng.normal(size=2 * scenes) + shift
            values = latent if kind == "numbers" else (latent > -0.8).astype(float)
            if kind == "net shares":
                values -= rng.random(2 * scenes) < 0.2
            sides.append(items(values, which.repeat(2)))
        low, high = between(*sides).interval(0.95)
        truth = -0.5 if kind == "numbers" else _share(-0.5) - _share(0.0)
        held += low <= truth <= high
    # 1000 runs tell 95% from 92.5%; intervals of shares are wider than they need be, never narrower.
    assert held / runs >= 0.93
    if kind == "numbers":
        assert held / runs <= 0.97


def _share(shift):
    from scipy.stats import norm

    return norm.sf((-0.8 - shift) / np.sqrt(2))


def test_a_detectable_change_is_found_four_times_in_five():
    rng = np.random.default_rng(5)
    n, found = 60, 0
    least = find_detectable_change(mean(np.random.default_rng(6).normal(size=4000)[:n], range(n)))
    for _ in range(600):
        values = rng.normal(size=n)
        low, _ = between(items(np.zeros(n)), items(values + least)).interval(0.95)
        found += low > 0
    assert 0.72 <= found / 600 <= 0.90


def test_trials_shrink_what_is_detectable_as_their_root():
    found = between(items(np.zeros(50)), items(np.tile([0.0, 1.0], 25)))
    wanted = find_detectable_change(found) / 2
    assert count_trials_for(found, wanted) == pytest.approx(200, abs=1)
    with pytest.raises(ValueError, match="above zero"):
        count_trials_for(found, 0.0)
    one_scene = between(items([1.0, 2.0], "aa"), items([2.0, 5.0], "aa"))
    assert count_trials_for(one_scene, 1.0) is None


def test_two_intervals_alone_give_a_wider_change_than_the_scenes_do(rng):
    a, b = rng.random(80) < 0.7, rng.random(80) < 0.7
    b = np.where(rng.random(80) < 0.9, a, b)
    one, other = proportion(a, range(80)), proportion(b, range(80))
    bounds = [(e.value, *e.interval(0.95)) for e in (one, other)]
    blind, seen = from_intervals(*bounds, 80, 80), between(one.evidence, other.evidence)
    assert blind.value == pytest.approx(seen.value)
    assert np.diff(blind.interval(0.95)) > np.diff(seen.interval(0.95))
