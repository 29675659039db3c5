"""Edits of rows whose effect is known by construction, on untrained models of every family.

What is patched before the first layer at the last token, or after the last layer at the image, changes
nothing; what is patched after the last layer at the last token is the counterfactual's answer. No mechanism is
needed for that, so that any model must show it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import loaded

from harness.experiments.dual_mechanisms import backup, last_token, pairs, removal, swaps
from harness.experiments.dual_mechanisms.pairs import (
    WiringFailed,
    check_wiring,
    exchange,
    explain_no_tokens,
    find_all_tokens,
)
from harness.experiments.dual_mechanisms.removal import References
from harness.experiments.editing import find_last_token
from harness.experiments.probabilities import read_probabilities
from harness.experiments.slots import Slots, count_rows
from harness.measuring.experiment import Request
from harness.stimuli.rows import draw_row_pairs, make_mirrored_pair, make_opposite_pair
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.tracing.capture import read_edited_logits, read_last_logits

CLOSE = 1e-5
"""The most by which a logit of float32 may differ where another order of sums computes it."""

PLACED = ("llava", "pixtral", "qwen2_5_vl", "qwen2_vl", "qwen3_vl", "planted-gemma")
"""Untrained families whose image tokens tell items apart; of Gemma 3 a control, since the other has four."""

UNPLACED = ("gemma3", "idefics2", "internvl", "llava_onevision", "smolvlm")
"""Untrained families with too few tokens for three items, or with tokens that stand for no place."""


def drawn(subject, make, count=4):
    return draw_row_pairs(make, subject.row_grid, "shapes", count, np.random.default_rng(3))


def encoded(subject, found):
    sides = [[getattr(p, side).trial for p in found] for side in ("clean", "counterfactual")]
    return [subject.encode(side) for side in sides]


def request_of(subject, trials=4, **needed):
    return Request(subject, trials, np.random.default_rng(4), needed=needed)


@pytest.fixture
def all_right(monkeypatch):
    """Let every pair count as answered right, since untrained models answer none."""
    monkeypatch.setattr(
        pairs, "check_answers_right", lambda subject, trials: np.ones(len(trials), bool)
    )
    monkeypatch.setattr(
        backup,
        "find_answers",
        lambda subject, trials, *rest: np.array([[t.answer for t in trials]]),
    )


@pytest.fixture(scope="module", params=PLACED)
def placed(request, family_folders):
    """A subject whose image tokens tell items apart."""
    if request.param in family_folders:
        return loaded(family_folders[request.param])
    return load(find(request.param, read_registry()))


def test_the_last_token_before_the_first_layer_is_a_word_of_the_prompt(of_family):
    clean, other = encoded(of_family, drawn(of_family, make_opposite_pair))
    values = Slots.capture(of_family, other, find_last_token(other))
    edits = values.write(0, find_last_token(clean))
    before = read_edited_logits(of_family, clean, [])
    assert torch.equal(read_edited_logits(of_family, clean, edits), before)


def test_the_last_token_after_the_last_layer_is_the_other_runs_answer(of_family):
    clean, other = encoded(of_family, drawn(of_family, make_opposite_pair))
    values = Slots.capture(of_family, other, find_last_token(other))
    edits = values.write(of_family.layers, find_last_token(clean))
    assert torch.equal(
        read_edited_logits(of_family, clean, edits), read_edited_logits(of_family, other, [])
    )


def test_every_slot_of_all_tokens_carries_the_whole_run(of_family):
    clean, other = encoded(of_family, drawn(of_family, make_mirrored_pair, 2))
    every = torch.arange(clean.last + 1).repeat(2, 1)
    values, goal = Slots.capture(of_family, other, every), read_last_logits(of_family, other)
    assert not torch.equal(goal, read_last_logits(of_family, clean))
    for slot in range(values.count):
        found = read_edited_logits(of_family, clean, values.write(slot, every))
        assert found == pytest.approx(goal.numpy(), abs=CLOSE)


def test_image_tokens_after_the_last_layer_change_nothing(placed):
    found = drawn(placed, make_mirrored_pair)
    clean, other = encoded(placed, found)
    values = Slots.capture(placed, other, other.image_tokens)
    where, taken = exchange([t.aligned for t in find_all_tokens([p.clean for p in found], clean)])
    tokens = clean.image_tokens.gather(1, where)
    before = read_edited_logits(placed, clean, [])
    last = values.write(placed.layers, tokens, taken)
    assert torch.equal(read_edited_logits(placed, clean, last), before)
    first = values.write(0, tokens, taken)
    assert not torch.equal(read_edited_logits(placed, clean, first), before)


def test_items_without_ordering_exchange_nothing_before_the_first_layer(placed):
    found = drawn(placed, make_mirrored_pair)
    clean, other = encoded(placed, found)
    questions, others = [p.clean for p in found], [p.counterfactual for p in found]
    references = References(placed, [*questions, *others])
    removed, gone = references.remove(questions, clean), references.remove(others, other)
    where, taken = exchange([t.outer for t in find_all_tokens(questions, clean)])
    values = Slots.capture(placed, other, other.image_tokens, [gone])
    tokens = clean.image_tokens.gather(1, where)
    before = read_edited_logits(placed, clean, [removed])
    again = [removed, *values.write(0, tokens, taken)]
    assert torch.equal(read_edited_logits(placed, clean, again), before)
    assert not torch.equal(read_edited_logits(placed, clean, []), before)


def test_without_ordering_every_item_has_the_tokens_it_has_alone(placed):
    found = [p.clean for p in drawn(placed, make_mirrored_pair, 2)]
    mirrored = [q.mirrored() for q in found]
    references = References(placed, [*found, *mirrored])
    batches = [placed.encode([q.trial for q in side]) for side in (found, mirrored)]
    one, other = (
        references.remove(side, batch).values
        for side, batch in zip((found, mirrored), batches, strict=True)
    )
    for row, tokens in enumerate(find_all_tokens(found, batches[0])):
        first, middle, last = map(list, tokens.items)
        assert torch.equal(one[row, first], other[row, last])
        assert torch.equal(one[row, middle], other[row, middle])
        assert torch.equal(one[row, list(tokens.background)], other[row, list(tokens.background)])


def test_all_experiments_pass_their_own_wiring_checks(placed, all_right):
    asked = last_token.measure(request_of(placed))
    assert asked.attrs["wiring"] <= CLOSE
    assert asked.sizes["slot"] == placed.layers + 1
    exchanged = swaps.measure(request_of(placed, last_token=asked))
    assert exchanged.attrs["wiring"] <= CLOSE
    assert set(exchanged.once.values) >= {"crosswise", "background"}
    assert removal.measure(request_of(placed)).sizes["trial"] == 4
    rebuilt = backup.measure(request_of(placed))
    assert rebuilt.attrs["wiring"] <= CLOSE
    assert rebuilt.kept.values.all()


@pytest.mark.parametrize("family", UNPLACED)
def test_families_whose_tokens_tell_no_items_apart_are_not_measured(family, family_folders):
    subject = loaded(family_folders[family])
    reason = explain_no_tokens(request_of(subject), "shapes")
    assert reason
    for measure in (swaps.measure, removal.measure, backup.measure):
        assert measure(request_of(subject)).attrs["no_tokens"] == reason


def test_a_difference_beyond_rounding_is_an_error(subject):
    same = np.full((2, 3), 0.5)
    assert check_wiring(subject, same, same + 1e-6, "equal") == pytest.approx(1e-6)
    for wrong in (same + 0.01, np.full((2, 3), np.nan)):
        with pytest.raises(WiringFailed, match="they are not"):
            check_wiring(subject, wrong, same, "they are not")


def test_the_probability_of_a_word_is_that_of_all_its_spellings(subject):
    found = drawn(subject, make_opposite_pair)
    trials = [p.clean.trial for p in found]
    ours, said = read_probabilities(subject, trials, [p.words for p in found])
    logits = read_last_logits(subject, subject.encode(trials)).double()
    meanings = subject.first_tokens.meanings
    for row, pair in enumerate(found):
        likely = torch.softmax(logits[row], 0)
        for number, color in enumerate(pair.words):
            total = sum(float(likely[t]) for t, meant in meanings.items() if meant == color)
            assert ours[0, row, number] == pytest.approx(total, abs=1e-6)
        assert said[0, row] == subject.read_word(int(logits[row].argmax()))


def test_rows_whose_slots_fit_are_at_least_one_and_at_most_what_is_asked(subject):
    assert count_rows(subject, 64, 5) == 5
    assert count_rows(subject, 2**40, 5) == 1
