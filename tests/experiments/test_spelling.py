"""How a subject writes its answers is found out, whatever it is; what cannot be told is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
from speakers import KINDS, VOICES, Voice

from harness.experiments.catalogue import BEHAVIOUR, SPELLING
from harness.experiments.spelling import COMMON, draw_spelling_trials, find_spelling
from harness.judging.verdict import Verdict, decide
from harness.measuring.experiment import measure_alone
from harness.readings.visual_symbols.behaviour import Behaviour
from harness.runs.tasks import task_threshold
from harness.subjects.registry import SharedFirstPiece
from harness.subjects.spelling import Speech

TRIALS = 12


def find(subject, form="sentence"):
    return find_spelling(subject, form, draw_spelling_trials(subject, TRIALS)[form])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("voice", "lead", "case", "words"),
    [
        ("red", "", "lower", {}),
        ("Red", "", "Capital", {}),
        ("grey", "", "lower", {"gray": "grey"}),
        ("Grey", "", "Capital", {"gray": "grey"}),
        ("The red", "The", "lower", {}),
        ("new line, Red", "\n", "Capital", {}),
    ],
)
def test_the_lead_the_case_and_the_synonyms_are_found(speaker, kind, voice, lead, case, words):
    subject = speaker(kind, VOICES[voice])
    found = find(subject)
    spelling = found.spelling
    assert found.right.all()
    assert subject.tokenizer.decode(spelling.lead).strip(" ") == lead
    assert spelling.style.case == case
    assert spelling.words == words


def test_a_space_before_the_answer_is_found_where_there_is_one(speaker):
    spaced = {
        kind: find(speaker(kind, VOICES["Red"], "chat")).spelling.style.spaced for kind in KINDS
    }
    assert spaced == {
        "bytes": False,
        "meta space first": True,
        "meta space": False,
        "tekken": True,
        "no space after the header": False,
    }


def test_a_question_is_given_the_suffix_without_which_it_is_not_answered(speaker):
    needs = Voice(only_after="Answer:")
    found = find(speaker("meta space first", needs), "question")
    assert found.spelling.suffix == " Answer:"
    assert found.right.all()
    # Of equals the first: nothing is written after a question that is answered without.
    assert find(speaker("meta space first", VOICES["red"]), "question").spelling.suffix == ""


def test_a_subject_that_writes_something_before_half_of_its_answers_is_read(speaker):
    half = Voice(before="The ", of=lambda row: row % 2 == 0)
    found = find(speaker("bytes", half))
    assert found.right.all()
    assert speaker("bytes", half).tokenizer.decode(found.spelling.lead) in ("", "The", " The")


def test_what_few_answers_begin_with_is_put_before_none(speaker):
    """Else every answer would be begun with "The circle is", whatever the question was about."""
    few = Voice(before="The circle is ", of=lambda row: row % 6 == 0)
    assert COMMON > 1 / 6
    found = find(speaker("bytes", few))
    assert found.spelling.lead == ()
    assert found.right.mean() == pytest.approx(5 / 6)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_that_begin_alike_are_refused_in_one_line_that_names_them(speaker, kind):
    with pytest.raises(SharedFirstPiece) as refused:
        measure_alone(SPELLING, speaker(kind, VOICES["RED"]), trials=48)
    said = str(refused.value)
    assert "\n" not in said
    assert all(word in said for word in ("blue", "black", "gray", "green", "pink", "purple"))
    assert not any(f"{word} (" in said for word in ("red", "yellow", "orange"))


@pytest.mark.parametrize("text", ["", "rojo", "I cannot see any image."])
def test_answers_that_name_no_color_are_not_judged(speaker, text):
    subject = speaker("bytes", Voice(instead=text))
    found = find(subject)
    assert not any(found.said)
    assert found.spelling == Speech().sentence
    measured = measure_alone(BEHAVIOUR, subject, trials=TRIALS)
    accuracy = Behaviour(measured).accuracy("two objects")
    judged = decide(accuracy, task_threshold(BEHAVIOUR), subject.name)
    assert judged.verdict is Verdict.not_applicable
    assert "\n" not in judged.reason
    assert text[:8] in judged.reason


def test_it_is_told_what_answers_look_like(speaker):
    told = measure_alone(SPELLING, speaker("bytes", VOICES["The red"]), trials=TRIALS).attrs[
        "tells"
    ]
    assert told.count("The ") == 2
    assert f"{TRIALS} of {TRIALS} name a color" in told


def test_scenes_are_none_that_experiments_draw_and_the_same_at_every_call(speaker):
    subject = speaker("bytes", VOICES["red"])
    drawn = draw_spelling_trials(subject, 48)
    assert drawn == draw_spelling_trials(subject, 48)
    assert {len(t.scene) for of_form in drawn.values() for t in of_form} == {3}
    shown = [t.scene.key for t in drawn["sentence"]]
    assert shown == [t.scene.key for t in drawn["question"]]
    assert len(np.unique([t.answer for t in drawn["sentence"]])) == 9
