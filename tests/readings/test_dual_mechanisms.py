"""Readings of Cui et al. on measurements that are made up, of which it is known what they must say."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.readings.dual_mechanisms.backup import Backup
from harness.readings.dual_mechanisms.last_token import LastToken
from harness.readings.dual_mechanisms.pairs import find_middle_slots
from harness.readings.dual_mechanisms.removal import Removal
from harness.readings.dual_mechanisms.swaps import Swaps

PAIRS = 80
SLOTS = 9
DIRECTIONS = ("left", "right", "above", "below")

ordinal = np.array([0, 0, 0, 0.2, 0.8, 0.9, 0.3, 0, 0])
word = np.array([0, 0, 0, 0, 0, 0.1, 0.6, 0.9, 0.95])


def noisy(curve, seed=0, pairs=PAIRS):
    """A curve [slot] for every pair, with noise and within [0, 1], [slot, trial]."""
    noise = np.random.default_rng(seed).normal(0, 0.03, (len(curve), pairs))
    return np.clip(np.asarray(curve)[:, None] + noise, 0, 1)


def labels(pairs=PAIRS):
    return {
        "direction": (("trial",), np.array(DIRECTIONS)[np.arange(pairs) % 4]),
        "scene": (("trial",), np.array([f"scene {i}" for i in range(pairs)])),
        "part": (("trial",), np.where(np.arange(pairs) // 4 % 2, "estimation", "evaluation")),
    }


def last_token(c2=ordinal, c3=word, same=None):
    clean = np.full(PAIRS, 0.95)
    opposite = np.zeros((5, SLOTS, PAIRS))
    opposite[2], opposite[3] = noisy(c2), noisy(c3, 1)
    opposite[0] = np.clip(0.95 - opposite[2] - opposite[3], 0, 1)
    other = np.zeros((5, SLOTS, PAIRS))
    other[0] = noisy(np.full(SLOTS, 0.95) if same is None else same, 2)
    return LastToken(
        xr.Dataset(
            {
                "patched": (("donor", "word", "slot", "trial"), np.stack([opposite, other])),
                "clean": (("word", "trial"), np.stack([clean, *[0 * clean] * 4])),
                **labels(),
            },
            {
                "donor": ["opposite", "same"],
                "word": ["c0", "c1", "c2", "c3", "c4"],
                "slot": np.arange(SLOTS),
            },
            {"kept": PAIRS, "drawn": PAIRS},
        )
    )


def test_a_place_that_the_last_token_holds_is_found_where_it_is():
    reading = last_token()
    assert reading.band == 5
    assert reading.ordinal().value == pytest.approx(0.9, abs=0.02)
    assert reading.ordinal_in_each_direction().value == pytest.approx(0.9, abs=0.03)
    assert reading.same_place().value == pytest.approx(1.0, abs=0.03)
    assert reading.inert().value < 0.5


def test_a_place_before_a_word_is_in_order_and_a_word_before_a_place_is_not():
    first, last = last_token().order(), last_token(word, ordinal).order()
    assert first.value == 2
    assert first.interval(0.95)[0] > 0
    assert last.value == -2
    assert last.interval(0.95)[1] < 0


@pytest.mark.parametrize("absent", ["c2", "c3"])
def test_an_order_of_something_that_is_nowhere_is_absent(absent):
    found = last_token(**{absent: np.zeros(SLOTS)}).order()
    assert found.value is None
    assert found.settled
    assert found.applies
    assert "no patch of the last token" in found.reason


def test_a_donor_of_the_same_question_says_nothing_where_no_donor_moves_anything():
    found = last_token(np.zeros(SLOTS), np.zeros(SLOTS)).same_place()
    assert not found.applies
    assert last_token(same=np.linspace(0.95, 0, SLOTS)).same_place().value < 0.5


def test_a_last_token_that_does_nothing_in_the_first_half_is_inert():
    late = np.where(np.arange(SLOTS) > 5, ordinal[::-1].max(), 0)
    assert last_token(late).inert().value == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("kept", [0, 5])
def test_too_few_pairs_settle_nothing(kept):
    data = last_token().data.isel(trial=slice(0, kept)).assign_attrs(kept=kept)
    for reading in (LastToken(data), Swaps(data)):
        found = reading.ordinal() if isinstance(reading, LastToken) else reading.flipped()
        assert not found.settled
        assert f"{kept} of {PAIRS} pairs" in found.reason


def swaps(strips, objects, *, once=(0.9, 0.0, 0.0), weak="", curve=word):
    kinds = []
    for number, moved in enumerate((strips, objects)):
        c2 = noisy(np.broadcast_to(moved, SLOTS), number)
        if weak:
            c2 = np.where(np.array(DIRECTIONS)[np.arange(PAIRS) % 4] == weak, 0.1, c2)
        kinds.append(np.stack([1 - c2, 0 * c2, c2]))
    c2 = np.stack([noisy([m], 5)[0] for m in once])
    return Swaps(
        xr.Dataset(
            {
                "swapped": (("kind", "word", "slot", "trial"), np.stack(kinds)),
                "swapped_once": (("once", "word", "trial"), np.stack([1 - c2, 0 * c2, c2], 1)),
                "clean": (("word", "trial"), np.stack([np.ones(PAIRS), *[np.zeros(PAIRS)] * 2])),
                "word_curve": (("slot", "asked"), noisy(curve, 3)),
                "asked_scene": (("asked",), np.array([f"asked {i}" for i in range(PAIRS)])),
                **labels(),
            },
            {
                "kind": ["strips", "objects"],
                "once": ["misaligned", "crosswise", "background"],
                "word": ["c0", "c1", "c2"],
                "slot": np.arange(SLOTS),
            },
            {"kept": PAIRS, "drawn": PAIRS},
        )
    )


FLIPS = np.array([0.9] * 6 + [0.2, 0, 0])


def test_strips_that_flip_the_answer_do_more_than_items_and_than_controls():
    reading = swaps(FLIPS, 0.2)
    assert reading.flipped().value == pytest.approx(0.9, abs=0.03)
    assert reading.flipped("misaligned").value == pytest.approx(0.9, abs=0.03)
    assert reading.more_than("objects").value == pytest.approx(0.7, abs=0.04)
    assert reading.specific().value == pytest.approx(0.88, abs=0.04)
    assert reading.objects_flip().value == pytest.approx(-0.6, abs=0.05)


def test_strips_that_do_what_any_exchange_does_are_not_specific():
    assert swaps(FLIPS, 0.2, once=(0.9, 0.9, 0.0)).specific().value == pytest.approx(0, abs=0.05)


def test_one_weak_direction_decides():
    found = swaps(FLIPS, 0.0, weak="below").flipped()
    assert found.value == pytest.approx(0.1, abs=0.02)
    assert found.interval(0.95)[1] < 0.6


def test_items_that_flip_in_a_middle_layer_are_found_there():
    items = np.array([0, 0, 0.1, 0.4, 0.8, 0.7, 0.3, 0, 0])
    assert swaps(FLIPS, items).objects_flip().value == pytest.approx(0.6, abs=0.05)


def test_image_tokens_that_stop_mattering_where_the_word_comes_are_near_it():
    # Strips flip last at slot 5, the word has five eighths of its height at slot 6.
    assert swaps(FLIPS, 0.0).read_out().value == pytest.approx(1 / 8)
    early = swaps(np.array([0.9, 0.9, 0.2] + [0] * 6), 0.0).read_out()
    assert early.value == pytest.approx(5 / 8)


def test_strips_that_flip_nowhere_are_read_out_nowhere():
    found = swaps(0.1, 0.0).read_out()
    assert found.value is None
    assert found.settled


def test_what_the_middle_layers_add_is_read_in_columns_and_not_at_the_ceiling():
    grows = np.array([0.5, 0.5, 0.6, 0.8, 0.9, 0.9, 0.2, 0, 0])
    assert swaps(grows, 0.0).strengthened().value == pytest.approx(0.4, abs=0.06)
    assert not swaps(0.99, 0.0).strengthened().applies


def test_strips_without_room_to_be_misaligned_are_not_asked():
    data = swaps(FLIPS, 0.0).data
    assert not Swaps(data.sel(once=["crosswise", "background"])).flipped("misaligned").applies


def removal(after, named=0.98, asked=0.98):
    rng = np.random.default_rng(0)
    answer = np.full(PAIRS, "red")

    def said(share):
        return np.where(np.arange(PAIRS) < share * PAIRS, "red", "blue")

    found = {
        "said": (("condition", "trial"), np.stack([said(1.0), rng.permutation(said(after))])),
        "answer": (("trial",), answer),
        "direction": labels()["direction"],
        "scene": labels()["scene"],
    }
    if named is not None:
        told = np.stack([np.arange(PAIRS) < s * PAIRS for s in (asked, named)])
        found["named"] = (("condition", "trial"), told)
    return Removal(xr.Dataset(found, {"condition": ["before", "after"]}))


def test_what_falls_and_what_is_left_add_up():
    reading = removal(0.6)
    assert reading.left().value == pytest.approx(0.6)
    assert reading.drop().value == pytest.approx(0.4)
    assert np.mean(list(reading.by_direction().values())) == pytest.approx(0.6)


def test_a_guess_between_two_is_more_than_a_third_and_not_more_than_a_half():
    low, high = removal(0.5).left().interval(0.95)
    assert 1 / 3 < low < 0.5 < high


def test_colors_of_shapes_are_asked_only_where_they_are_known():
    assert removal(0.6).named().value == pytest.approx(0.98, abs=0.02)
    assert not removal(0.6, asked=0.5).named().applies
    assert not removal(0.6, None).named().applies


def backup(objects, background=0.1, kept=PAIRS):
    drawn = 2 * PAIRS
    every = {
        "kept": (("drawn",), np.arange(drawn) < kept),
        "kept_scene": (("drawn",), np.array([f"drawn {i}" for i in range(drawn)])),
    }
    if not kept:
        return Backup(xr.Dataset(every))
    c2 = [noisy(np.broadcast_to(c, SLOTS), i, kept) for i, c in enumerate((objects, background))]
    swapped = np.stack([np.stack([1 - c, 0 * c, c]) for c in c2])
    return Backup(
        xr.Dataset(
            {**every, "swapped": (("kind", "word", "slot", "trial"), swapped), **labels(kept)},
            {
                "kind": ["objects", "background"],
                "word": ["c0", "c1", "c2"],
                "slot": np.arange(SLOTS),
            },
        )
    )


BUMP = np.array([0.1, 0.1, 0.2, 0.5, 0.8, 0.7, 0.3, 0.1, 0.1])


def test_an_order_that_the_decoder_writes_in_the_middle_is_found():
    reading = backup(BUMP)
    assert reading.rebuilt().value == pytest.approx(0.6, abs=0.06)
    assert reading.rise().value == pytest.approx(0.7, abs=0.05)
    assert reading.rise_of_background().value == pytest.approx(0, abs=0.05)


def test_a_decoder_that_writes_no_order_shows_no_rise_and_its_background_is_not_asked():
    reading = backup(np.full(SLOTS, 0.1))
    assert reading.rebuilt().value == pytest.approx(-0.8, abs=0.06)
    assert reading.rise().value == pytest.approx(0, abs=0.05)
    assert not reading.rise_of_background().applies


def test_fewer_right_answers_than_guesses_give_leave_nothing_to_be_rebuilt():
    none = backup(BUMP, kept=0).rebuilt()
    assert none.value is None
    assert none.settled
    few = backup(BUMP, kept=10).rebuilt()
    assert few.value is None
    assert few.settled


def test_as_many_right_answers_as_guesses_give_settle_nothing_if_they_are_few():
    reading = backup(BUMP, kept=11)
    data = reading.data.isel(drawn=slice(0, 30))
    assert not Backup(data).rebuilt().settled


@pytest.mark.parametrize("reading", [LastToken, Swaps, Removal, Backup])
def test_items_without_tokens_are_not_asked(reading):
    empty = reading(xr.Dataset(attrs={"no_tokens": "no grid"}))
    asked = {LastToken: "ordinal", Swaps: "flipped", Removal: "drop", Backup: "rebuilt"}
    found = getattr(empty, asked[reading])()
    assert not found.applies
    assert "no grid" in found.reason


@pytest.mark.parametrize(
    ("count", "first", "last", "slots"),
    [(29, 0.3, 0.65, range(9, 19)), (9, 0.3, 0.65, range(3, 6)), (3, 0.4, 0.45, range(1, 2))],
)
def test_middle_slots_are_those_of_the_depth(count, first, last, slots):
    assert find_middle_slots(count, first, last) == slots
