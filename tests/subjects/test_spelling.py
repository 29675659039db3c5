"""The tokens that begin an answer, in vocabularies of four kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tokenizers
import vocabularies
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from harness.stimuli.prompt import color_question, scene_description
from harness.stimuli.scene import COLORS, Object
from harness.subjects.registry import SharedFirstPiece
from harness.subjects.spelling import (
    CASES,
    STYLES,
    SYNONYMS,
    FirstTokens,
    Speech,
    Spelling,
    Style,
)
from harness.training.vocabulary import build_tokenizer

TOKENIZERS = {
    "bytes": vocabularies.qwen(["<|image_pad|>"]),
    "meta space first": vocabularies.llama(["<image>"]),
    "meta space": vocabularies.gemma(["<image_soft_token>"]),
    "tekken": vocabularies.tekken(["[IMG]"]),
}
WORDS = st.lists(st.text("abdeglnry", min_size=1, max_size=7), min_size=2, max_size=5, unique=True)


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


@pytest.mark.parametrize("case", ["lower", "Capital"])
@pytest.mark.parametrize("spaced", [True, False])
def test_each_color_has_a_token_of_its_own_in_small_letters_and_with_a_capital(
    tokenizer, spaced, case
):
    tokens = FirstTokens(tokenizer)
    found = [tokens.find(word, Style(spaced, case)) for word in COLORS]
    assert len(set(found)) == len(COLORS)
    assert [tokens.meanings[token] for token in found] == list(COLORS)
    read = [tokenizer.decode([token]).strip() for token in found]
    assert read == [CASES[case](word) for word in COLORS]


def test_synonyms_mean_their_color(tokenizer):
    tokens = FirstTokens(tokenizer)
    for word, others in SYNONYMS.items():
        for other in others:
            assert tokens.meanings[tokens.find(other, Style(True, "lower"))] == word


def test_a_token_that_begins_two_colors_means_none(tokenizer):
    tokens = FirstTokens(tokenizer)
    shared, own = (tokens.find(word, Style(False, "UPPER")) for word in ("blue", "red"))
    assert shared == tokens.find("black", Style(False, "UPPER"))
    assert shared not in tokens.meanings
    assert tokens.meanings[own] == "red"


def test_a_token_of_space_alone_begins_no_word(tokenizer):
    tokens = FirstTokens(tokenizer, [str(digit) for digit in range(1, 10)])
    found = [tokens.find(digit, Style(True, "lower")) for digit in tokens.words]
    assert [tokenizer.decode([token]).strip() for token in found] == list(tokens.words)


def test_colors_that_are_written_alike_at_first_are_named(tokenizer):
    tokens = FirstTokens(tokenizer, ["redder", "redden", "blue"])
    assert tokens.find_sharing("redder") == ["redden"]
    assert tokens.find_sharing("blue") == []


def test_a_word_that_the_vocabulary_lacks_has_no_token():
    plain = vocabularies.tekken(["[IMG]"])
    assert FirstTokens(plain, ["красный"]).find("красный", STYLES[0]) is not None
    assert FirstTokens(build_tokenizer("<image>"), ["rojo"]).find("rojo", STYLES[0]) is None


def test_a_word_that_is_no_answer_is_written_in_the_nearest_style_that_is_known():
    words = tokenizers.models.WordLevel({"?": 0, "a": 1, "two": 2}, unk_token="?")
    plain = tokenizers.Tokenizer(words)
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokens = FirstTokens(PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="?"))
    small, capital = (
        next(s for s in STYLES if s.case == c and s.spaced) for c in ("lower", "Capital")
    )
    assert tokens.find("two", capital) is None
    assert tokens.choose("two", "two", capital) == tokens.find("two", small) == 2
    with pytest.raises(SharedFirstPiece, match="does not know the answer 'rojo'"):
        tokens.choose("rojo", "rojo", small)


@settings(max_examples=60)
@given(words=WORDS, kind=st.sampled_from(list(TOKENIZERS)))
def test_no_token_means_a_word_if_another_word_begins_with_it_too(words, kind):
    tokens = FirstTokens(TOKENIZERS[kind], words)
    for token, word in tokens.meanings.items():
        begun = TOKENIZERS[kind].decode([token]).strip().lower()
        assert any(variant.startswith(begun) for variant in (word, *SYNONYMS.get(word, ())))
        for other in set(words) - {word}:
            assert all(tokens.find(other, style) != token for style in STYLES)


SPELLINGS = st.builds(
    Spelling,
    st.lists(st.integers(0, 400), max_size=3).map(tuple),
    st.none() | st.sampled_from(STYLES),
    st.dictionaries(st.sampled_from(list(COLORS)), st.text(max_size=4)),
    st.sampled_from(["", " Answer:"]),
)


@given(st.builds(Speech, SPELLINGS, SPELLINGS))
def test_how_a_subject_speaks_can_be_written_and_read(speech):
    assert Speech.from_json(speech.to_json()) == speech


def test_what_is_not_how_a_subject_speaks_is_refused():
    wrong = Speech().to_json().replace("[]", "3")
    with pytest.raises(ValueError, match="not a spelling"):
        Speech.from_json(wrong)


def test_a_spelling_is_chosen_by_the_form_of_the_prompt():
    speech = Speech(Spelling((1,)), Spelling((2,)))
    assert speech.choose("In this image there is a").lead == (1,)
    assert speech.choose("What is the color of the square.").lead == (2,)
    assert speech.choose("In this image there is 1. a").lead == ()


SENTENCE = scene_description([Object("red", "square")], Object("green", "circle"))


def test_two_colors_never_have_one_token_in_the_spelling_that_a_subject_uses(of_family):
    """In capital letters throughout, "GREEN" and "GRAY" begin alike: their difference would always be 0."""
    for style in STYLES:
        speech = Speech(Spelling(style=style), Spelling(style=style))
        subject = replace(of_family, speech=speech)
        for prompt in (SENTENCE, color_question("square", "red")):
            tokens = [subject.answer_id(prompt, word) for word in COLORS]
            assert [subject.read_word(token) for token in tokens] == list(COLORS)


def test_a_lead_stands_after_every_prompt_and_moves_no_mention(of_family):
    import numpy as np

    from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
    from harness.stimuli.questions import draw_color_questions

    two, rng = of_family.grids[2], np.random.default_rng(0)
    trials = draw_balanced_trials(two, HIGH_ENTROPY[3], 2, rng)
    lead = tuple(of_family.tokenizer("The", add_special_tokens=False)["input_ids"])
    led = replace(of_family, speech=Speech(sentence=Spelling(lead)))
    plain, begun = of_family.encode(trials), led.encode(trials)
    assert begun.input_ids[:, -len(lead) :].tolist() == [list(lead)] * 2
    assert begun.input_ids[:, : -len(lead)].equal(plain.input_ids)
    assert (begun.mentions, begun.separators) == (plain.mentions, plain.separators)
    questions = draw_color_questions(two, HIGH_ENTROPY[3], 2, rng)
    assert led.encode(questions).input_ids.equal(of_family.encode(questions).input_ids)
