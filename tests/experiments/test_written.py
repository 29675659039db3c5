"""Texts as models write them, and what is read in them: entries of lists, nouns, numbers.

The entries about photographs are of the kinds that LLaVA-1.5 and Qwen2.5-VL wrote for the public reproduction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiments.written import (
    LONGEST,
    ROWS,
    continue_prompts,
    find_noun,
    read_first_entry,
    read_number,
)
from harness.stimuli.prompt import NUMBERS, numbered_list
from harness.stimuli.scene import COLORS, SHAPES, Object
from harness.subjects.spelling import Speech

OBJECTS = st.builds(Object, st.sampled_from(list(COLORS)), st.sampled_from(list(SHAPES)))

LISTS = (
    "1. {0}\n2. {1}\n3. {2}\n",
    "1) {0}\n2) {1}\n3) {2}\n",
    "1. **{0}**\n2. **{1}**\n3. **{2}**\n\n",
    "1. A {0}. 2. A {1}. 3. A {2}. ",
    "In this image there is 1. a {0} 2. a {1} 3. a {2}. ",
    "- {0}\n- {1}\n- {2}\n",
    "The unique colored objects are:\n1. {0}\n2. {1}\n3. {2}\n\n",
)
"""Ways to write a list of three objects."""

ENDS = (
    "Answer: {0}",
    "**Answer:** {0}",
    "**Answer: {0}**",
    "Answer:\n{0}",
    "Answer: There are {0}",
    "Answer: There are {0} unique colored objects.",
    "Answer: TOTAL_COUNT = {0}",
    "Answer: \\boxed{{{0}}}",
    "The answer is $\\boxed{{{0}}}$.",
    "\\boxed{{{0}}}",
    "Total: {0}",
    "Total: {0}. These are all objects.",
    "Total count: {0}",
    "**Total Count:** {0}",
    "TOTAL_COUNT = {0}",
    "The total count of these unique colored objects is {0}.",
    "There are {0} unique colored objects.",
    "There are {0}",
    "there are {0}.",
    "I can see {0} objects.",
    "The total count is five.\n\nAnswer: {0}",
    "Answer: 9. No, I counted one twice.\nAnswer: {0}",
)
"""Ways to give a number after a list."""


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("listed", ["", *LISTS])
def test_the_number_is_read_in_every_form(listed, end):
    for count, word in enumerate(NUMBERS[2:], 2):
        text = listed.format("red triangle", "blue square", "green cross") + end
        for said in (text.format(count), text.format(word), text.format(word).upper()):
            assert read_number(said) == count


@pytest.mark.parametrize("end", ["", "Answer:", "Answer: TOTAL_COUNT", "4.", "Total count:"])
@pytest.mark.parametrize("listed", [x for x in LISTS if "-" not in x])
def test_a_list_that_does_not_say_how_many_gives_no_number(listed, end):
    assert read_number(listed.format("red triangle", "blue square", "green cross") + end) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("six.", 6),
        (" 12", 12),
        ("3", 3),
        ("Three", 3),
        ("(3)", 3),
        ("3 (three)", 3),
        ("zero", 0),
        ("There are three objects: one red square, one blue circle and one green cross.", 3),
        ("One red square and one blue circle. In total, there are two objects.", 2),
        ("1. red circle\n2. blue square\nAnswer: two. There are 2 of them.", 2),
        ("Answer: 3 objects. Answer: 4", 4),
        ("Answer: 3 + 2 = 5", 5),
        ("Answer: 1. Red circle 2. Blue square", None),
        ("Answer: TOTAL_COUNT", None),
        ("Answer:", None),
        ("someone is often alone", None),
        ("no idea", None),
        ("", None),
    ],
)
def test_the_number_that_a_text_gives(text, expected):
    assert read_number(text) == expected


@given(st.integers(0, 10**6))
def test_any_number_after_answer_is_read(number):
    assert read_number(f"answer: {number}") == number
    assert read_number(f"answer:{number}.") == number
    assert read_number(f"1. red circle 2. blue square answer: {number}") == number


@given(st.text("abcdefgh .,:*[]\n", max_size=40))
def test_text_without_numbers_gives_none(text):
    # No number word is made of the first eight letters.
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "expected", "noun"),
    [
        ("red square 2. a blue circle", "red square", "square"),
        (" red square 2 . a blue circle", "red square", "square"),
        ("red square\n2. a blue circle", "red square", "square"),
        ("\nRed square\nBlue circle", "Red square", "square"),
        ("Red Square, 2. a blue circle", "Red Square", "square"),
        ("RED SQUARE.", "RED SQUARE", "square"),
        ("red square", "red square", "square"),
        ("red square (large) 2.", "red square", "square"),
        ("**Red square**\n2. **Blue circle**", "Red square", "square"),
        ("1. **Red triangle**\n2. **Blue circle**", "Red triangle", "triangle"),
        ("1) A red square 2) a blue circle", "red square", "square"),
        ("[red square] 2. a [blue circle]", "red square", "square"),
        ('"red square"', "red square", "square"),
        ("In this image there is 1. a red square 2. a blue circle", "red square", "square"),
        ("The red square", "red square", "square"),
        ("n orange 2. an apple", "orange", "orange"),
        ("red square and a blue circle", "red square", "square"),
        ("red square two a blue circle", "red square", "square"),
        ("red", "red", "red"),
        ("TV 2. a sign", "TV", "tv"),
        ("bird and 2. a cat", "bird", "bird"),
        ("surfboard 3", "surfboard", "surfboard"),
        ("1elephant 2. a person", "elephant", "elephant"),
        ("white toilet 2. a white sink", "white toilet", "toilet"),
        ("android phone 2.", "android phone", "phone"),
        ("man riding a motorcycle 2.", "man riding a motorcycle", "man"),
        (
            "group of people sitting around a table",
            "group of people sitting around a table",
            "group",
        ),
        ("dining table with a glass top 2.", "dining table with a glass top", "table"),
        ("bicycle parked on the sidewalk", "bicycle parked on the sidewalk", "bicycle"),
        ("white bed with pillows", "white bed with pillows", "bed"),
        ("blue and white plane hanging low", "blue and white plane hanging low", "plane"),
        ("street sign for West 32nd Street 2. a", "street sign for West 32nd Street", "sign"),
        ("two red squares", "", ""),
        ("2. a blue circle", "", ""),
        (". . .", "", ""),
        ("a", "", ""),
        ("", "", ""),
        ("   ", "", ""),
    ],
)
def test_the_first_entry_and_its_noun(text, expected, noun):
    assert read_first_entry(text) == expected
    assert find_noun(expected) == noun


@given(st.lists(OBJECTS, min_size=2, max_size=4, unique=True), st.sampled_from(LISTS[:5]))
def test_the_first_entry_of_a_true_list_is_the_first_object(listed, form):
    completion = numbered_list(listed, 0).completion
    whole = form.format(*(o.name for o in (listed * 2)[:3]))
    for text in (completion, whole):
        assert read_first_entry(text) == listed[0].name
        assert read_first_entry(text.upper()).lower() == listed[0].name
    assert find_noun(listed[0].name) == listed[0].shape


@given(st.text("abcdefghijklmnopqrstuvwxyz 0123456789.,:()-*[]\n", max_size=60))
def test_an_entry_is_part_of_the_text_and_its_own_first_entry(text):
    entry = read_first_entry(text)
    assert entry in " ".join(text.replace("*", "").replace("[", "").replace("]", "").split())
    assert entry == entry.strip()
    assert read_first_entry(entry) == entry


def test_a_text_without_an_end_is_no_entry():
    assert read_first_entry("red " * LONGEST)
    assert read_first_entry("red " * (LONGEST + 1)) == ""


@dataclass
class Words:
    """Stands for a subject and for a generator that repeats each prompt's number."""

    asked: list = field(default_factory=list)
    speech: Speech = field(default_factory=Speech)

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


def test_continuations_are_as_they_were_written_and_in_order(words):
    found = continue_prompts(words, range(2 * ROWS + 2), 2)
    assert found == [f"  Red\n Square {n} " for n in range(2 * ROWS + 2)]
    assert {steps for _, steps, *_ in words.asked} == {2}
    assert [size for size, *_ in words.asked] == [ROWS, ROWS, 2]


def test_edits_are_made_for_the_trials_of_each_batch(words):
    continue_prompts(words, range(ROWS + 4), 2, lambda batch, part: [(batch[0], part)], [(1, 2)])
    parts = slice(0, ROWS), slice(ROWS, ROWS + 4)
    assert [edits for *_, edits, _ in words.asked] == [[(part.start, part)] for part in parts]
    assert {tuple(ablated) for *_, ablated in words.asked} == {((1, 2),)}
