"""Answers in words; texts are in lower case, with single spaces, as `continue_prompts` gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiments.written import ROWS, continue_prompts, read_first_entry, read_number
from harness.stimuli.prompt import NUMBERS, numbered_list
from harness.stimuli.scene import COLORS, SHAPES, Object

OBJECTS = st.builds(Object, st.sampled_from(list(COLORS)), st.sampled_from(list(SHAPES)))


def tidy(text):
    return " ".join(text.lower().split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red square 2. a blue circle", "red square"),
        (" red square 2 . a blue circle", "red square"),
        ("red square\n2. a blue circle", "red square"),
        ("Red Square, 2. a blue circle", "red square"),
        ("red square.", "red square"),
        ("red square", "red square"),
        ("red square (large) 2.", "red square"),
        ("red square with a shadow", "red square"),
        ("red square and a blue circle", "red square"),
        ("red square two a blue circle", "red square"),
        ("red", "red"),
        ("android phone 2.", "android phone"),
        ("two red squares", ""),
        ("2. a blue circle", ""),
        (". . .", ""),
        ("", ""),
        ("   ", ""),
    ],
)
def test_the_first_entry_ends_at_the_next_number_or_mark(text, expected):
    assert read_first_entry(tidy(text)) == expected


@given(st.lists(OBJECTS, min_size=2, max_size=4, unique=True))
def test_the_first_entry_of_a_true_list_is_the_first_object(listed):
    prompt = numbered_list(listed, 0)
    assert read_first_entry(tidy(prompt.completion)) == listed[0].name


@given(st.text("abcdefghijklmnopqrstuvwxyz 0123456789.,:()-\n", max_size=60))
def test_an_entry_is_the_beginning_of_the_text_in_letters_alone(text):
    entry = read_first_entry(tidy(text))
    assert tidy(text).startswith(entry)
    assert entry == entry.strip()
    assert all(c.isalpha() or c == " " for c in entry)
    assert read_first_entry(entry) == entry


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: 5", 5),
        ("Answer: five", 5),
        ("**Answer:** 5", 5),
        ("there are seven objects.", 7),
        ("1. red circle\n2. blue square\n3. green cross\nAnswer: 6", 6),
        ("1. red circle\n2. blue square\nAnswer: two. There are 2 of them.", 2),
        ("Answer: 3 objects. Answer: 4", 4),
        ("six.", 6),
        (" 12", 12),
        ("zero", 0),
        ("Answer: TOTAL_COUNT", None),
        ("Answer:", None),
        ("someone is often alone", None),
        ("no idea", None),
        ("", None),
    ],
)
def test_the_number_given_is_read_in_digits_or_words(text, expected):
    assert read_number(tidy(text)) == expected


@given(st.integers(0, 10**6))
def test_any_number_after_answer_is_read(number):
    assert read_number(f"answer: {number}") == number
    assert read_number(f"answer:{number}.") == number
    assert read_number(f"1. red circle 2. blue square answer: {number}") == number


@given(st.sampled_from(NUMBERS))
def test_any_number_word_is_read(word):
    assert NUMBERS[read_number(f"answer: {word}.")] == word
    assert NUMBERS[read_number(word)] == word


@given(st.text("abcdefgh .,:", max_size=40))
def test_text_without_numbers_gives_none(text):
    # No number word is made of the first eight letters.
    assert read_number(text) is None


class Words:
    """Stands for a subject and for a generator that repeats each prompt's number."""

    class entry:
        scale = "embedded"

    def __init__(self) -> None:
        self.asked = []

    def encode(self, trials):
        return list(trials)

    def generate(self, subject, batch, steps, edits, ablated):
        self.asked.append((len(batch), steps, list(edits), ablated))
        return [f"  Red\n Square {n} " for n in batch]


@pytest.fixture
def words(monkeypatch):
    made = Words()
    monkeypatch.setattr("harness.experiments.written.generate", made.generate)
    return made


def test_continuations_are_in_lower_case_with_single_spaces_and_in_order(words):
    found = continue_prompts(words, range(2 * ROWS + 2), 2)
    assert found == [f"red square {n}" for n in range(2 * ROWS + 2)]
    assert [size for size, *_ in words.asked] == [ROWS, ROWS, 2]


def test_a_tokenizer_that_cuts_words_gets_three_tokens_for_each(words):
    continue_prompts(words, range(1), 2)
    words.entry = type("entry", (), {"scale": "paper"})
    continue_prompts(words, range(1), 2)
    assert [steps for _, steps, *_ in words.asked] == [2, 6]


def test_edits_are_made_for_the_trials_of_each_batch(words):
    continue_prompts(words, range(ROWS + 4), 2, lambda batch, part: [(batch[0], part)], [(1, 2)])
    parts = slice(0, ROWS), slice(ROWS, ROWS + 4)
    assert [edits for *_, edits, _ in words.asked] == [[(part.start, part)] for part in parts]
    assert {tuple(ablated) for *_, ablated in words.asked} == {((1, 2),)}
