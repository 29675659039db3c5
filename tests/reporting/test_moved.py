"""Heads that carry a stage on two sides: the same, renumbered, moved or lost, and where nobody knows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored import first, measured, side

from harness.reporting import page
from harness.reporting.compare import compare
from harness.reporting.gate import markdown, render, to_json
from harness.reporting.moved import Move, compare_heads
from harness.reporting.moved_text import render_stages, stages_markdown, stages_to_rows
from harness.statistics.head_scores import Carried, HeadScores
from harness.stimuli.contrast import CONDITIONS

LAYERS, HEADS, SCENES = 8, 8, 50
HERE = {(6, 4): 10.0, (6, 5): 8.0}
STAGE = "feature_retrieval"


def scores(places=HERE, noise=0.2, seed=0, carried=Carried.by_heads, **changes):
    """Scores of all heads as trials would give them: strong ones at the places, and noise elsewhere, too."""
    rng = np.random.default_rng(seed)
    means = noise * rng.normal(size=(LAYERS, HEADS))
    for place, strength in places.items():
        means[place] += strength
    errors = noise * rng.uniform(0.8, 1.2, (LAYERS, HEADS))
    return HeadScores(carried, changes.pop("reason", ""), means, errors, SCENES)


def unknown(word, reason="for the test"):
    if word is Carried.unmeasured:
        return HeadScores(word, reason)
    return scores({}, carried=word, reason=reason if word is Carried.uncertain else "")


def move(before, after):
    return compare_heads("tiny", STAGE, before, after)


def renumber(found, seed=1):
    """The same heads in another order within each layer."""
    orders = np.argsort(np.random.default_rng(seed).random((LAYERS, HEADS)), 1)
    means, errors = (np.take_along_axis(a, orders, 1) for a in (found.means, found.errors))
    return replace(found, means=means, errors=errors)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 1.0), st.floats(0.5, 10.0))
def test_other_trials_of_the_same_heads_are_no_move(seed, noise, second):
    """Also where the second head is near the end of the list: at a tenth of the best score."""
    places = {(6, 4): 10.0, (6, 5): second}
    found = move(scores(places, noise, seed), scores(places, noise, seed + 1))
    assert found.move is Move.same
    assert not found.changed


def test_a_false_move_is_rare_at_the_very_end_of_the_list():
    """A thousand pairs of runs, with a head exactly where a list ends, and a thousand heads that do nothing."""
    places = {(6, 4): 10.0, (6, 5): 1.0, (2, 1): 1.0}
    moved = [
        move(scores(places, 0.3, 2 * i), scores(places, 0.3, 2 * i + 1)).changed
        for i in range(1000)
    ]
    assert sum(moved) == 0


@given(st.integers(0, 1000))
def test_heads_that_are_only_renumbered_are_told_and_are_no_move(seed):
    one = scores()
    found = move(one, renumber(one, seed))
    same = np.array_equal(renumber(one, seed).means, one.means)
    assert found.move is (Move.same if same else Move.renumbered)
    assert not found.changed
    assert not found.unknown


def test_one_head_that_does_more_is_no_renumbering():
    one = scores()
    other = renumber(one)
    place = np.unravel_index(other.means.argmax(), other.means.shape)
    means = other.means.copy()
    means[place] *= 1.01
    assert move(one, replace(other, means=means)).move is Move.moved


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        ({(7, 1): 9.0}, {(6, 4): "gone", (6, 5): "gone", (7, 1): "new"}),
        ({(6, 5): 8.0}, {(6, 4): "gone"}),
        ({**HERE, (7, 1): 9.0}, {(7, 1): "new"}),
        ({(6, 4): 1.6, (6, 5): 8.0}, {(6, 4): "less"}),
        (
            {(6, 1): 10.0, (6, 2): 8.0},
            {(6, 4): "gone", (6, 5): "gone", (6, 1): "new", (6, 2): "new"},
        ),
    ],
    ids=["another-layer", "one-less", "one-more", "shifted", "same-layer-other-noise"],
)
def test_heads_that_came_went_or_do_another_share_are_named(after, changes):
    found = move(scores(noise=0.1), scores(after, noise=0.1, seed=9))
    assert found.move is Move.moved
    assert {(h.layer, h.head): h.change for h in found.heads if h.change} == changes
    for head in found.heads:
        assert head.before[1] < head.before[0] < head.before[2]


def test_a_stage_that_does_less_by_all_its_heads_has_not_moved():
    half = {place: strength / 2 for place, strength in HERE.items()}
    assert move(scores(noise=0.05), scores(half, noise=0.05, seed=3)).move is Move.same


def test_a_head_that_noise_may_have_hidden_is_not_gone():
    after = {(6, 4): 10.0, (6, 5): 0.5}
    assert move(scores({**HERE, (6, 5): 1.5}, 0.4), scores(after, 0.4, seed=2)).move is Move.same


@pytest.mark.parametrize(
    ("before", "after", "wanted", "changed", "unsure"),
    [
        (Carried.by_heads, Carried.by_none, Move.lost, True, False),
        (Carried.by_none, Carried.by_heads, Move.found, False, False),
        (Carried.by_none, Carried.by_none, Move.nowhere, False, False),
        (Carried.by_heads, Carried.uncertain, Move.uncertain, False, True),
        (Carried.uncertain, Carried.by_heads, Move.uncertain, False, False),
        (Carried.by_heads, Carried.unmeasured, Move.unmeasured, False, True),
        (Carried.unmeasured, Carried.by_heads, Move.unmeasured, False, False),
        (Carried.uncertain, Carried.unmeasured, Move.unmeasured, False, False),
        (None, Carried.by_heads, Move.unmeasured, False, True),
        (Carried.by_heads, None, Move.unmeasured, False, True),
    ],
)
def test_no_head_uncertain_heads_and_no_measurement_are_each_told(
    before, after, wanted, changed, unsure
):
    one, other = (
        None if word is None else scores() if word is Carried.by_heads else unknown(word)
        for word in (before, after)
    )
    found = move(one, other)
    assert (found.move, found.changed, found.unknown) == (wanted, changed, unsure)
    text = "\n".join(render_stages([found]))
    for word, when in ((before, "before"), (after, "after")):
        if word is None:
            assert f"{when}: its scorecard has no scores of heads" in text
        elif word in (Carried.uncertain, Carried.unmeasured):
            assert f"{when}: for the test" in text


def test_models_with_other_numbers_of_heads_cannot_be_matched():
    small = HeadScores(Carried.by_heads, "", np.eye(4), np.full((4, 4), 0.01), SCENES)
    found = move(scores(), small)
    assert found.move is Move.unmeasured
    assert "8 layers of 8 heads before, 4 layers of 4 heads after" in found.reason


def compared(after, **how):
    """A comparison of one subject, all of whose stages are carried as given."""
    one = side(measured(first(0.9)))
    keys = [("tiny", stage) for stage in CONDITIONS]
    before = replace(one, heads=dict.fromkeys(keys, scores(noise=0.05)))
    return compare(before, replace(one, heads=dict.fromkeys(keys, after)), **how)


AWAY = scores({(7, 1): 9.0}, noise=0.05, seed=5)


def test_a_move_is_a_warning_and_red_only_if_that_is_asked():
    lax, strict = compared(AWAY), compared(AWAY, strict=True)
    assert (lax.red, strict.red) == (False, True)
    assert not lax.lost
    end = " ".join(render(lax, width=1000))
    assert "GREEN. WARNING: ID retrieval moved (tiny), ID selection moved (tiny)" in end
    assert "--strict-heads makes that red" in end
    assert render(strict, width=1000)[-1].startswith(
        "RED, as --strict-heads asks: ID retrieval moved"
    )


@pytest.mark.parametrize("strict", [False, True])
def test_the_same_and_renumbered_heads_are_green_even_if_strict(strict):
    for after in (scores(noise=0.05, seed=4), renumber(scores(noise=0.05))):
        found = compared(after, strict=strict)
        assert not found.red
        assert render(found)[-1] == "GREEN"


@pytest.mark.parametrize("word", [Carried.uncertain, Carried.unmeasured])
def test_strict_is_red_where_nobody_can_tell_what_carries_a_stage_now(word):
    assert not compared(unknown(word)).red
    assert compared(unknown(word), strict=True).red


def test_strict_is_red_where_neither_side_has_scores_of_heads():
    one = side(measured(first(0.9)))
    assert compare(one, one, strict=True).red
    assert not compare(one, one).red
    lines = [line.strip() for line in render(compare(one, one), width=1000)]
    assert sum(line.startswith("unmeasured: ") for line in lines) == 1, "in one line, not three"


def test_a_run_of_some_claims_is_not_held_to_heads_that_it_did_not_measure():
    some = side(measured(first(0.9)), partial=True)
    heads = {("tiny", stage): unknown(Carried.unmeasured) for stage in CONDITIONS}
    whole = replace(side(measured(first(0.9))), heads={k: scores() for k in heads})
    found = compare(whole, replace(some, heads=heads), partial=True, strict=True)
    assert {s.move for s in found.stages} == {Move.unmeasured}
    assert not found.red


def test_json_markdown_and_page_name_the_heads(tmp_path):
    found = compared(AWAY)
    content = json.loads(json.dumps(to_json(found), allow_nan=False))
    [*_, stage] = content["stages"]
    assert (stage["stage"], stage["move"], content["strict"]) == (STAGE, "moved", False)
    gone = {(h["layer"], h["head"]): h["change"] for h in stage["heads"]}
    assert gone == {(6, 4): "gone", (6, 5): "gone", (7, 1): "new"}
    table = markdown(found)
    assert "| feature retrieval | tiny | **moved** | 6.4, 6.5 before, 7.1 after | 6.4: " in table
    assert "WARNING" in table
    path = tmp_path / "index.html"
    page.write(found.after.card, path, stages=found.stages)
    text = path.read_text()
    assert "6.4, 6.5 before, 7.1 after" in text
    assert "<strong>moved</strong>" in text
    page.write(found.after.card, path)
    assert 'id="heads"' not in path.read_text()


def test_a_renumbered_stage_lists_no_head_as_gone():
    one = scores()
    [row] = stages_to_rows([move(one, renumber(one))])
    assert (row.move, row.changes) == ("renumbered", [])
    assert " before, " in row.heads
    assert "gone" not in stages_markdown([move(one, renumber(one))])


def test_every_head_is_shown_where_that_is_asked():
    found = [move(scores(noise=0.1), scores({(6, 4): 5.0, (6, 5): 4.0}, noise=0.1, seed=2))]
    short, full = ("\n".join(render_stages(found, each=e)) for e in (False, True))
    assert "of that" not in short
    assert full.count("% of that") == 2
    assert not list(render_stages([]))
