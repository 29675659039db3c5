"""Heads that controls are drawn from: none that matters, as many, of the same layers, and never by number."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from harness.experiments.editing import (
    rank_heads,
    select_kept_scores,
)
from harness.experiments.other_heads import (
    OtherHeads,
    count_fewest,
    find_heads_that_matter,
    place_key_heads,
)
from harness.experiments.visual_symbols.counting import _rank_heads
from harness.measures.mediation import ROUNDING, tell_carried
from harness.readings.visual_symbols.counting import Counting
from harness.readings.visual_symbols.degrade import Degrade
from harness.readings.visual_symbols.listing import Listing
from harness.readings.visual_symbols.steering import Steering
from harness.readings.visual_symbols.through_selection import ThroughSelection
from harness.stimuli.contrast import CONDITIONS

LAYERS, HEADS, TRIALS = 5, 8, 20
STAGES = {
    "id_retrieval": [(1, 0), (1, 1)],
    "id_selection": [(2, 2), (2, 3)],
    "feature_retrieval": [(3, 4), (3, 5)],
}
MATTER = {head for heads in STAGES.values() for head in heads}


def make_mediation(seed=0, noise=1e-3, strength=2.0):
    """What mediation measures where each stage stands in two heads, and all heads write something."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, noise, (len(CONDITIONS), TRIALS, LAYERS, HEADS))
    for s, stage in enumerate(CONDITIONS):
        for head in STAGES[stage]:
            score[(s, slice(None), *head)] += strength
    scenes = np.tile([f"s{i}" for i in range(TRIALS)], (len(CONDITIONS), 1))
    return xr.Dataset(
        {
            "score": (("condition", "trial", "layer", "head"), score),
            "written": (
                ("condition", "layer", "head"),
                np.exp(rng.normal(0, 2, (len(CONDITIONS), LAYERS, HEADS))),
            ),
            "scene": (("condition", "trial"), scenes),
            "kept": (("condition",), [TRIALS] * len(CONDITIONS)),
        },
        {"condition": list(CONDITIONS)},
    )


def renumber(mediation, seed, rounding=1e-7):
    """What it measures where the heads of every layer are numbered otherwise; and the new number of each."""
    rng = np.random.default_rng(seed)
    order = np.array([rng.permutation(HEADS) for _ in range(LAYERS)])
    layers, moved = np.arange(LAYERS)[:, None], mediation.copy(deep=True)
    for name in ("score", "written"):
        values = mediation[name].values[..., layers, order]
        moved[name].values[:] = values * (1 + rounding * rng.standard_normal(values.shape))
    return moved, order.argsort(1)


def rename(heads, numbers):
    return [(layer, int(numbers[layer, head])) for layer, head in heads]


# Which heads matter


def test_no_head_that_mediates_any_stage_is_ever_drawn():
    for stage in (*CONDITIONS, None):
        others = OtherHeads.find(make_mediation(), stage)
        assert len(others.free) == LAYERS * HEADS - len(MATTER)
        for drawn in others.draw([(2, 2), (1, 0)], np.random.default_rng(0), 50):
            assert len(set(drawn)) == 2
            assert not set(drawn) & MATTER


def test_a_head_that_may_well_be_the_stages_is_no_control_even_where_that_is_not_sure():
    data = make_mediation()
    data.score.values[1, :, 4, 7] = np.resize([6.0, -5.0], TRIALS)
    scores = data.score.values[1, :, 4, 7]
    assert abs(scores.mean()) < 2 * scores.std(ddof=1) / np.sqrt(TRIALS)
    assert find_heads_that_matter(data) == MATTER | {(4, 7)}


def test_where_no_head_surely_mediates_noise_bars_few():
    data = make_mediation(strength=0.0, noise=1.0)
    assert len(find_heads_that_matter(data)) < 0.3 * LAYERS * HEADS


def test_one_scene_tells_nothing_surely_so_that_all_that_may_matter_are_barred():
    data = make_mediation()
    data.scene.values[:] = "the only one"
    assert find_heads_that_matter(data) == MATTER


def test_where_mediation_kept_nothing_no_head_is_known_to_matter():
    data = make_mediation()
    data.kept.values[:], data.score.values[:], data.written.values[:] = 0, np.nan, np.nan
    assert find_heads_that_matter(data) == set()
    assert len(OtherHeads.find(data, "id_selection").free) == LAYERS * HEADS


# What is drawn

GIVEN = st.lists(
    st.sampled_from([(layer, head) for layer in range(LAYERS) for head in range(HEADS)]),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(GIVEN, st.integers(0, 99))
def test_sets_match_layer_by_layer_and_never_hold_a_given_head(heads, seed):
    others = OtherHeads.find(make_mediation(seed), "id_selection")
    left = [head for head in others.free if head not in heads]
    lost, free = (np.bincount([h[0] for h in of], minlength=LAYERS) for of in (heads, left))
    for drawn in others.draw(heads, np.random.default_rng(seed), 5):
        assert len(set(drawn)) == len(drawn) == len(heads)
        assert set(drawn) <= set(left)
        found = np.bincount([layer for layer, _ in drawn], minlength=LAYERS)
        assert (found >= np.minimum(lost, free)).all()


@given(st.integers(0, 99))
def test_a_head_is_matched_by_one_of_the_half_that_writes_most_nearly_as_much(seed):
    data = make_mediation(seed)
    written = np.log(data.written.sel(condition="id_selection").values)
    others = OtherHeads.find(data, "id_selection")
    free = sorted(
        (head for head in range(HEADS) if (2, head) not in MATTER),
        key=lambda head: abs(written[2, head] - written[2, 2]),
    )
    drawn = others.draw([(2, 2)], np.random.default_rng(seed), 60)
    assert {head for ((_, head),) in drawn} == set(free[: len(free) // 2])


def test_a_layer_without_others_is_helped_out_by_the_nearest_and_what_is_missing_is_counted():
    places = np.tile(np.arange(HEADS), (LAYERS, 1))
    others = OtherHeads(places, np.zeros(places.shape), ((0, 1), (4, 0), (4, 5)))
    sets = others.draw([(2, 2), (4, 1)], np.random.default_rng(0), 40)
    assert all(drawn[0][0] == 4 and drawn[1][0] in (0, 4) for drawn in sets)
    assert count_fewest(sets) == 2
    few = others.draw([(1, h) for h in range(5)], np.random.default_rng(0), 3)
    assert count_fewest(few) == 3
    assert count_fewest(others.draw([], np.random.default_rng(0), 2)) == 0
    assert count_fewest([]) == 0


# Numbers of heads say nothing


@given(st.integers(0, 99), st.sampled_from(CONDITIONS))
def test_with_the_same_seed_two_models_that_number_heads_otherwise_are_asked_with_the_same(
    seed, stage
):
    data = make_mediation(seed)
    moved, numbers = renumber(data, seed + 1)
    one, other = (OtherHeads.find(of, stage) for of in (data, moved))
    assert rename(one.free, numbers) == list(other.free)
    assert np.array_equal(np.take_along_axis(other.places, numbers, 1), one.places)
    sets, again = (
        of.draw(heads, np.random.default_rng(seed), 20)
        for of, heads in ((one, STAGES[stage]), (other, rename(STAGES[stage], numbers)))
    )
    assert [rename(drawn, numbers) for drawn in sets] == again


@given(st.integers(0, 99))
def test_the_first_few_heads_are_the_same_whatever_their_numbers(seed):
    data = make_mediation(seed)
    # Two heads with the same score, of which one writes more; and all others do nothing but rounding.
    data.score.values[:] = 0
    data.score.values[1] = np.random.default_rng(seed).normal(0, 1e-8, (TRIALS, LAYERS, HEADS))
    data.score.values[1, :, 2, 2:4] = 2.0
    moved, numbers = renumber(data, seed + 1)
    own, theirs = (rank_heads(of, "id_selection") for of in (data, moved))
    assert len(own) == 2
    assert rename(own, numbers) == theirs
    written = data.written.sel(condition="id_selection").values
    assert written[own[0]] > written[own[1]]


@given(st.integers(0, 99), st.sampled_from(sorted(STAGES)))
def test_luck_of_the_trials_makes_no_head_one_of_a_stage(seed, stage):
    """Scores without a mean other than 0 leave the best of forty heads a positive one on any trials."""
    data = make_mediation(seed, noise=0.01)
    data.score.loc[{"condition": stage}] = np.random.default_rng(seed).normal(
        0, 0.01, (TRIALS, LAYERS, HEADS)
    )
    carried = tell_carried(*select_kept_scores(data, stage), 0.1)
    assert data.score.sel(condition=stage).mean("trial").max() > ROUNDING
    assert bool(rank_heads(data, stage)) == bool(carried)
    for other in set(STAGES) - {stage}:
        assert set(STAGES[other]) <= set(rank_heads(data, other))


def test_luck_of_the_trials_rarely_makes_a_stage():
    """Of stages that no head carries, at most one in forty is taken for carried, as a level of 0.95 says."""
    rng, runs = np.random.default_rng(0), 200
    scenes = np.array([f"s{i}" for i in range(40)])
    told = [
        tell_carried(rng.normal(0, 0.01, (40, LAYERS, HEADS)), scenes, 0.1) for _ in range(runs)
    ]
    assert told.count(True) / runs <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)
    assert told.count(None) == 0


def test_a_stage_that_may_be_carried_is_not_known_to_lack_heads():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1.0, (20, LAYERS, HEADS))
    scenes = np.array([f"s{i}" for i in range(20)])
    assert tell_carried(scores, scenes, 0.1) is None
    assert tell_carried(scores[:1], scenes[:1], 0.1) is None
    assert tell_carried(scores + 5, scenes, 0.1) is True


@given(st.integers(0, 99))
def test_orders_of_counting_cut_ties_by_what_heads_write(seed):
    data = make_mediation(seed, noise=0.0)
    moved, numbers = renumber(data, seed + 1)

    own, theirs = (_rank_heads(of) for of in (data, moved))
    for order in ("top", "bottom", "smallest"):
        assert rename(own[order], numbers) == theirs[order]
    assert len(own["top"]) == len(MATTER)


def test_counting_silences_no_head_that_scores_by_luck():
    """Half of all heads that do nothing have a positive score, and none of them is among the best."""
    assert set(_rank_heads(make_mediation(noise=1e-4))["top"]) == MATTER
    found = [bool(_rank_heads(make_mediation(seed, strength=0.0))["top"]) for seed in range(100)]
    # Each of three stages is taken for carried in one of forty draws.
    assert np.mean(found) <= 0.075 + 3 * np.sqrt(0.075 * 0.925 / len(found))


def test_heads_of_keys_are_ordered_by_the_heads_that_read_them():
    places = np.array([[3, 2, 0, 5, 1, 4]])
    assert place_key_heads(places, 6).tolist() == places.tolist()
    assert place_key_heads(places, 3).tolist() == [[2, 0, 1]]
    assert place_key_heads(places, 2).tolist() == [[0, 1]]


# Too few others

N = 40
SCENES = (("trial",), np.arange(N).astype(str))
YES, NO = (("trial",), np.ones(N, bool)), (("trial",), np.zeros(N, bool))


def compare_with_others(others):
    """For each experiment that draws heads, its comparison with as many as these in place of two."""
    stages = {"stage": list(CONDITIONS)}
    moved = np.zeros((3, 4, N), bool)
    moved[:, 0] = True
    yield Steering(
        xr.Dataset(
            {
                "moved": (("stage", "control", "trial"), moved),
                "chosen_k": (("stage",), [2.0] * 3),
                "heads": (("stage",), [2.0] * 3),
                "others": (("stage",), [float(others)] * 3),
                "side": (("trial",), np.arange(N) % 2),
                "scene": SCENES,
            },
            {**stages, "control": ["top", "random", "away", "best on test"]},
        )
    ).specific("id_selection")
    right = np.ones((4, 2, N), bool)
    follows = np.zeros((4, 2, N), bool)
    follows[0, 1] = True
    yield Degrade(
        xr.Dataset(
            {
                "right": (("edit", "step", "trial"), right),
                "follows": (("edit", "step", "trial"), follows),
                "scene": SCENES,
                "ranked": 2,
                "heads": 2,
                "others": others,
            },
            {
                "edit": ["other cell", "own cell", "random direction", "other heads"],
                "step": [0.0, 1.0],
            },
        )
    ).follows("other heads")
    effect = np.tile([[2.0], [0.0], [2.0]], N)
    yield ThroughSelection(
        xr.Dataset(
            {
                "effect": (("held", "trial"), effect),
                "scene": SCENES,
                "patched": 2,
                "retrieving": 2,
                "selecting": 2,
                "held_heads": 2,
                "others": others,
            },
            {"held": ["nothing", "selection", "other heads"]},
        )
    ).spared()
    yield Listing(
        xr.Dataset(
            {
                "repeated": YES,
                "random": NO,
                "draw": (("trial",), np.arange(N) % 24),
                "scene": SCENES,
                "image": (("image",), np.arange(N).astype(str)),
                "heads": 2,
                "kept": 20,
                "listed": N,
                "replaced": 2,
                "others": others,
            }
        )
    ).specific()
    plain = np.ones(N, bool)
    yield Counting(
        xr.Dataset(
            {
                "plain": (("trial",), plain),
                "count": (("trial",), np.arange(N) % 4),
                "scene": SCENES,
                "heads": 2,
                "judged": 250,
                "right": (("which", "k", "trial"), np.zeros((1, 1, N), bool)),
                "random": YES,
                "draw": (("trial",), np.arange(N) % 24),
                "silenced": 2,
                "others": others,
            },
            {"which": ["top"], "k": [250]},
        )
    ).against_random()


@pytest.mark.parametrize("others", [0, 1, 2])
def test_nothing_is_compared_with_fewer_heads_than_were_edited(others):
    found = list(compare_with_others(others))
    assert len(found) == 5
    for estimate in found:
        if others < 2:
            assert not estimate.applies
            assert f"only {others} are left" in estimate.reason
        else:
            assert estimate.value == 1
