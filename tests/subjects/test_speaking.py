"""Controls that answer as published models do have the plain control's mechanism, and are read as right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from harness.experiments.catalogue import BEHAVIOUR, MEDIATION, SPELLING, find_experiment
from harness.experiments.editing import find_answers
from harness.experiments.naming import name_objects
from harness.measuring.experiment import Request, let_speak, measure_alone
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials, draw_entropy_trials
from harness.stimuli.scene import COLORS
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import load
from harness.subjects.registry import FIXTURES, UnknownSubject, find, read_registry
from harness.subjects.speaking import SPEAKING
from harness.subjects.spelling import Speech
from harness.tracing.generate import generate

REGISTRY = read_registry()
TRIALS = 12


@pytest.fixture(scope="module")
def control():
    loaded = {}

    def of(variant, base="planted"):
        name = f"{base}:{variant}" if variant else base
        if name not in loaded:
            loaded[name] = load(find(name, REGISTRY))
        return loaded[name]

    return of


def draw(subject, trials=TRIALS):
    return draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], trials, np.random.default_rng(0))


def test_a_way_of_speaking_is_part_of_the_fingerprint():
    names = ["planted", *(f"planted:{how}" for how in SPEAKING)]
    assert len({take_fingerprint(find(name, REGISTRY)) for name in names}) == len(names)


def test_only_what_ships_with_us_can_be_made_to_speak():
    with pytest.raises(
        UnknownSubject,
        match="there are: llava-1.5-7b:wrong-image, [^,]*:shuffled, [^,]*:bfloat16, [^,]*:int8, [^,]*:nf4$",
    ):
        find("llava-1.5-7b:capital", REGISTRY)
    with pytest.raises(UnknownSubject, match="planted:capital.*planted:pieces"):
        find("planted:loud", REGISTRY)


def test_another_vocabulary_is_refused(of_family):
    from harness.subjects.speaking import change_vocabulary

    with pytest.raises(ValueError, match="only a tokenizer with one token for each word"):
        change_vocabulary("capital", of_family.model, of_family.tokenizer, of_family.anatomy)


SPELLED = {
    "capital": ("Capital", {}, "Red"),
    "grey": ("lower", {"gray": "grey"}, "red"),
    "digits": ("lower", {}, "red"),
    "chat": ("lower", {}, "red"),
    "pieces": ("lower", {}, "re"),
}


@pytest.mark.deep
@pytest.mark.parametrize("how", SPEAKING)
def test_how_it_speaks_is_found_and_all_its_answers_are_read(control, how):
    subject = control(how)
    found = measure_alone(SPELLING, subject, trials=TRIALS)
    case, words, red = SPELLED[how]
    for spelling in (lambda s: (s.sentence, s.question))(Speech.from_json(found.attrs["speech"])):
        assert (spelling.lead, spelling.style.case, dict(spelling.words)) == ((), case, words)
        token = subject.first_tokens.find("red", spelling.style)
        assert subject.tokenizer.decode([token]).strip() == red
    assert found.right.all()
    assert measure_alone(BEHAVIOUR, subject, trials=TRIALS).right.all()


@pytest.mark.parametrize("how", SPEAKING)
def test_shortcut_says_the_same_however_it_speaks(control, how):
    plain, spoken = (
        measure_alone(SPELLING, control(h, "shortcut"), trials=TRIALS) for h in ("", how)
    )
    assert plain.right.sel(form="sentence").all()
    # Also where it is wrong, as it is in some questions.
    assert np.array_equal(spoken.said, plain.said)


@pytest.mark.deep
@pytest.mark.parametrize("how", ["capital", "grey", "digits"])
def test_scores_do_not_depend_on_how_answers_are_spelled(control, how):
    """To the last bit: the same rows of the output embedding are compared."""
    plain, spoken = (measure_alone(MEDIATION, control(h), trials=6) for h in ("", how))
    assert np.array_equal(spoken.score, plain.score)
    assert spoken.scene.equals(plain.scene)


@pytest.mark.deep
@pytest.mark.parametrize("name", ["behaviour", "keys"])
def test_answers_are_the_same_words_however_they_are_spelled(control, name):
    """Sections 3.1 and 4.3 were refuted and blocked where "red" and "Red" were exchanged."""
    found = {}
    for how in ("", "capital", "grey"):
        subject = control(how)
        needed = {e.name: measure_alone(e, subject, trials=6) for e in (SPELLING, MEDIATION)}
        request = Request(let_speak(subject, needed), 24, np.random.default_rng(0), needed=needed)
        found[how] = find_experiment(name).load_measure()(request).drop_attrs()
    assert found["capital"].identical(found[""])
    assert found["grey"].identical(found[""])


@pytest.mark.parametrize("how", ["chat", "pieces"])
def test_the_planted_heads_are_found(control, how):
    planted = json.loads((FIXTURES / "controls" / "planted" / "truth.json").read_text())["heads"]
    measured = measure_alone(MEDIATION, control(how), trials=6)
    assert measured.kept.values.tolist() == [6, 6, 6]
    for stage, heads in planted.items():
        score = measured.score.sel(condition=stage).mean("trial").values
        best = np.argsort(-score, axis=None)[: len(heads)]
        found = {tuple(map(int, np.unravel_index(i, score.shape))) for i in best}
        assert found == {tuple(head) for head in heads}
        assert np.sort(score, axis=None)[-3] < 0.01


def test_a_chat_ends_its_turn_after_the_answer(control):
    subject = control("chat")
    trials = draw(subject)
    batch = subject.encode(trials)
    text = subject.tokenizer.decode(batch.input_ids[0])
    assert text.count("<|im_start|>") == 3
    assert generate(subject, batch, 4) == [t.answer for t in trials]


def test_a_color_is_read_and_written_in_two_pieces(control):
    subject = control("pieces")
    trials = draw(subject)
    batch = subject.encode(trials)
    assert {len(tokens) for row in batch.mentions for tokens in row} == {3}
    assert [text.strip() for text in generate(subject, batch, 2)] == [t.answer for t in trials]
    pieces = [subject.tokenizer.tokenize(f"a {color}")[1:] for color in COLORS]
    assert len({first for first, _ in pieces}) == len({second for _, second in pieces}) == 9


def test_capitals_are_told_from_small_letters(control):
    numbers = control("capital").tokenizer("red Red In in", add_special_tokens=False)["input_ids"]
    assert len(set(numbers)) == 4
    rows = control("capital").model.get_input_embeddings().weight[numbers]
    assert torch.equal(rows[0], rows[1])
    assert torch.equal(rows[2], rows[3])


def test_a_trained_subject_counts_in_digits(control):
    from harness.stimuli.questions import draw_counting_questions

    plain, digits = control("", "tiny-llava"), control("digits", "tiny-llava")
    asked = draw_counting_questions(plain.grids[3], TRIALS, np.random.default_rng(0))
    words, numbers = (generate(s, s.encode(asked), 1) for s in (plain, digits))
    assert all(text.isalpha() for text in words)
    assert all(text.isdigit() for text in numbers)
    assert np.mean([int(n) == len(t.scene) for n, t in zip(numbers, asked, strict=True)]) > 0.8


@pytest.mark.parametrize("base", ["planted", "shortcut"])
def test_a_color_that_is_only_begun_is_named(control, base):
    subject = control("pieces", base)
    trials = draw_entropy_trials(subject.grids[3], "high", 24, np.random.default_rng(0))
    first = find_answers(subject, trials)[0].tolist()
    assert [named.color for named in name_objects(subject, trials)] == first
    assert np.mean([color == t.answer for color, t in zip(first, trials, strict=True)]) > 0.7
