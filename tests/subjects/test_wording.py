"""The form of a prompt, the instruction that each family is given with it, and what ends a question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stimuli.design import HIGH_ENTROPY
from harness.stimuli.prompt import (
    ENUMERATION,
    color_question,
    count_question,
    line_question,
    numbered_list,
    scene_description,
    spatial_question,
)
from harness.subjects.anatomy import ANATOMIES
from harness.subjects.wording import (
    REPRODUCED,
    WORDINGS,
    add_suffix,
    find_instruction,
    tell_form,
)

RED, BLUE, GREEN = HIGH_ENTROPY[3][:3]

SENTENCES = {
    "described": scene_description([RED, BLUE], GREEN).text,
    "described without a comma": scene_description([RED], BLUE, commas=False).text,
    "nothing described": scene_description([], RED).text,
    "a line": line_question("above", RED, BLUE).text,
}

LISTS = {
    "begun": numbered_list([RED, BLUE], 0).text,
    "gone on with": numbered_list([RED, BLUE], 1).text,
    "third entry": numbered_list([RED, BLUE, GREEN], 2).text,
}

QUESTIONS = {
    "color": color_question("square", "red").text,
    "neighbour": spatial_question("left", RED, "blue").text,
    "count": count_question(3).text,
    "paper's count": ENUMERATION,
}

FORMS = {"sentence": SENTENCES, "list": LISTS, "question": QUESTIONS}

CASES = [(form, text) for form, texts in FORMS.items() for text in texts.values()]


@pytest.mark.parametrize(("form", "text"), CASES)
def test_the_form_of_every_prompt_of_the_papers_is_told(form, text):
    assert tell_form(text) == form
    assert tell_form(text + " ") == form


@pytest.mark.parametrize("named", ["dog", "man in a no. 7 shirt", "dog?", "red circle:", "1. dog."])
def test_a_list_is_one_whatever_a_subject_named_in_it(named):
    text = f"In this image there is 1. a {named} 2. a"
    assert tell_form(text) == "list"
    assert find_instruction("llava", text) == REPRODUCED.next_entry


def test_a_sentence_that_ends_in_a_number_is_no_list():
    assert tell_form("In this image there are 2 squares and a") == "sentence"
    assert tell_form("Choose one of 1. a square, 2. a circle.") == "question"


@pytest.mark.parametrize("family", sorted(ANATOMIES))
def test_every_family_is_told_the_task_in_the_published_words(family):
    for text in SENTENCES.values():
        assert find_instruction(family, text) == (
            "Complete the sentence describing the scene, starting by the color of the missing object."
        )
    first, *later = LISTS.values()
    assert find_instruction(family, first) == (
        "Complete the sentence describing the scene using the format: [OBJECT1] 2. a [OBJECT2]."
    )
    for text in later:
        assert find_instruction(family, text) == (
            "Complete the sentence describing the scene using the format: OBJECT."
        )
    assert {find_instruction(family, text) for text in QUESTIONS.values()} == {""}


def test_every_family_has_words_and_says_where_they_come_from():
    assert set(WORDINGS) == set(ANATOMIES)
    assert all(w.source and w.suffixes[0] == "" for w in WORDINGS.values())
    # What the public reproduction did with a family that the paper has is not taken from another.
    published = {"qwen2_vl", "qwen2_5_vl", "llava_onevision", "idefics2"}
    assert {f for f, w in WORDINGS.items() if w is REPRODUCED} == published


def test_only_llava_is_asked_plainly_and_may_need_a_word_after_a_question():
    llava = WORDINGS["llava"]
    assert (llava.arrangement, llava.suffixes) == ("plain", ("", " Answer:"))
    others = {(w.arrangement, w.suffixes) for f, w in WORDINGS.items() if f != "llava"}
    assert others == {("auto", ("",))}


@pytest.mark.parametrize(("form", "text"), CASES)
@pytest.mark.parametrize("suffix", ["", " Answer:"])
def test_a_suffix_is_for_questions_that_do_not_say_it_themselves(form, text, suffix):
    needed = form == "question" and text in (QUESTIONS["color"], QUESTIONS["neighbour"])
    assert add_suffix(text, suffix) == (text + suffix if needed else text)


@given(st.text(max_size=40), st.sampled_from(["", " Answer:", "\nA:"]))
def test_a_suffix_never_moves_the_prompt_and_is_written_once(text, suffix):
    once = add_suffix(text, suffix)
    assert once in (text, text + suffix)
    assert tell_form(once) == tell_form(text)
    assert add_suffix(once, suffix) == once
