"""A model that was trained with other words is asked in them, and gives the same as in the papers' words."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.main import main
from harness.experiments.catalogue import EXPERIMENTS, SPELLING
from harness.machine.files import FIXTURES, ROOT
from harness.measuring.experiment import measure_alone
from harness.runs.journal import gather_facts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial, color_question, numbered_list
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import load
from harness.subjects.own_stimuli import USUAL, OwnStimuli, read_own_stimuli
from harness.subjects.registry import UnknownSubject, find, read_registry

DOCUMENT = (ROOT / "docs" / "stimuli.md").read_text()
EXAMPLE = re.search(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)[1]
OTHER = {"red": "crimson", "gray": "ash", "plane": "jet", "image": "picture"}
BEHAVIOUR = next(e for e in EXPERIMENTS if e.name == "behaviour")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`planted`, and the same model with other words in its vocabulary: with the file, and without."""
    root = tmp_path_factory.mktemp("own")
    for name in ("usual", "own", "untold"):
        shutil.copytree(FIXTURES / "controls" / "planted", root / name)
    for name in ("own", "untold"):
        path = root / name / "tokenizer.json"
        content = json.loads(path.read_text())
        vocabulary = content["model"]["vocab"]
        content["model"]["vocab"] = {OTHER.get(t, t): n for t, n in vocabulary.items()}
        path.write_text(json.dumps(content))
    (root / "own" / "stimuli.toml").write_text(EXAMPLE)
    return root


def find_folder(folder):
    return find(str(folder), read_registry())


@pytest.mark.parametrize("experiment", [SPELLING, BEHAVIOUR], ids=lambda e: e.name)
def test_the_same_model_with_other_words_gives_the_same_measurement(folders, experiment):
    usual, own = (
        measure_alone(experiment, load(find_folder(folders / name)), trials=24)
        for name in ("usual", "own")
    )
    for name, values in usual.data_vars.items():
        np.testing.assert_array_equal(values, own[name], err_msg=str(name))


def test_without_the_file_it_is_not_understood(folders):
    said = measure_alone(SPELLING, load(find_folder(folders / "usual")), trials=24)
    untold = load(find_folder(folders / "untold"))
    with pytest.raises(ValueError, match="does not know the answer 'red'"):
        untold.check_answers()
    assert bool(said.right.all())


def test_the_tokens_of_mentions_are_those_of_the_own_words(folders):
    subject = load(find_folder(folders / "own"))
    trials = draw_balanced_trials(EMBEDDED_GRIDS[2], HIGH_ENTROPY[2], 6, np.random.default_rng(0))
    batch = subject.encode(trials)
    assert batch.trials == tuple(trials), "in the papers' words"
    for row, trial in enumerate(trials):
        for tokens, obj in zip(batch.mentions[row], trial.described, strict=True):
            words = subject.tokenizer.decode(batch.input_ids[row, list(tokens)])
            assert words == " ".join(OTHER.get(w, w) for w in obj.name.split())


def test_the_file_is_part_of_what_is_asked(folders, tmp_path):
    shutil.copytree(folders / "own", tmp_path / "own")
    first = find_folder(tmp_path / "own")
    (tmp_path / "own" / "stimuli.toml").write_text('[colors]\nred = "crimson"\n')
    second = find_folder(tmp_path / "own")
    (tmp_path / "own" / "stimuli.toml").unlink()
    third = find_folder(tmp_path / "own")
    assert third.stimuli == USUAL
    assert "stimuli" not in gather_facts(third)
    assert gather_facts(second)["stimuli"] == "red = crimson"
    prints = []
    for entry, text in ((first, EXAMPLE), (second, '[colors]\nred = "crimson"\n')):
        (tmp_path / "own" / "stimuli.toml").write_text(text)
        prints.append(take_fingerprint(entry))
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("color = 1", "unknown key color: one of arrangement, colors, shapes, grids, wording"),
        ('[colors]\nteal = "teal"', "unknown key colors.teal: one of red, blue"),
        ('[colors]\nred = "dark red"', "colors.red = 'dark red': one word of lower-case letters"),
        ("[shapes]\nsun = 3", "shapes.sun = 3: one word of lower-case letters"),
        ('[colors]\nred = "blue"', "'blue' stands for two of them"),
        ('[shapes]\nsun = "orange"', "'orange' stands for two of them"),
        ('arrangement = "talk"', "arrangement = 'talk': one of plain, chat, prefilled, auto"),
        ("arrangement = 3", "arrangement = 3: one of plain, chat, prefilled, auto"),
        ("[grids.4]\ncell = 9", "unknown key grids.4: one of 2, 3"),
        ("[grids.2]\ncell = 2", "grids.2.cell = 2: a whole number of pixels from 8 to 1024"),
        ("[grids.2]\ngap = true", "grids.2.gap = True: a whole number of pixels from 0"),
        ("[grids]\n2 = 5", "grids.2 = 5: a table, [grids.2]"),
        ("colors = 5", "colors = 5: a table, [colors]"),
        ('[wording]\nquestion = "Which?"', "ends in '.', '?' or ':' and has {shape} once"),
        ('[wording]\ndescription = "It is so."', "the beginning of a sentence"),
        ('[wording]\ndescription = ""', "text on one line"),
        ("[colors", "not TOML"),
        ("\x00", "not TOML"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line_that_names_the_key(
    folders, tmp_path, text, said
):
    shutil.copytree(folders / "usual", tmp_path / "bad")
    (tmp_path / "bad" / "stimuli.toml").write_text(text)
    with pytest.raises(UnknownSubject) as refused:
        find_folder(tmp_path / "bad")
    assert said in str(refused.value)
    assert "stimuli.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_example_says_something_of_every_key(tmp_path):
    (tmp_path / "stimuli.toml").write_text(EXAMPLE)
    read = read_own_stimuli(tmp_path)
    assert read.arrangement
    assert read.description
    assert read.question
    assert dict(read.words) == {k: v for k, v in OTHER.items() if k != "image"}
    assert [rows for rows, _ in read.grids] == [2, 3]


WORDS = st.permutations(["ka", "lomi", "sutera", "o", "purpurn", "red", "blue", "x", "nine"])
TEXTS = st.sampled_from(["", "Look:  here is", "Here", "There is in this image"])


@given(WORDS, TEXTS, st.integers(0, 99), st.sampled_from(["description", "list", "question"]))
def test_spans_cover_the_own_words_and_everything_is_read_back(words, begin, seed, form):
    words = tuple(zip(COLORS, words, strict=True))
    own = OwnStimuli(words=words, description=begin, question="{shape}?" if begin else "")
    [trial] = draw_balanced_trials(
        EMBEDDED_GRIDS[2], HIGH_ENTROPY[2], 1, np.random.default_rng(seed)
    )
    if form == "list":
        trial = Trial(
            trial.scene, numbered_list(trial.scene.objects, 2), trial.scene.objects, trial.target
        )
    elif form == "question":
        trial = Trial(trial.scene, color_question("sun", "pink"), (), trial.target)
    said, was = own.say(trial).prompt, trial.prompt
    whole, before = said.text + said.completion, was.text + was.completion
    for spans, old in ((said.mentions, was.mentions), (said.statements, was.statements)):
        for (a, b), (c, d) in zip(spans, old, strict=True):
            assert own.read_back(whole[a:b]) == before[c:d]
    for comma in filter(None, said.separators):
        assert whole[slice(*comma)] == ","
    assert own.read_back(said.answer) == was.answer
    if form == "question" and begin:
        assert said.text == "sun?"
    elif begin:
        assert said.text.startswith(begin)


def test_other_lengths_are_those_of_the_canvas():
    own = OwnStimuli(grids=((3, (("cell", 40), ("margin", 8))),))
    grids = own.change_grids(EMBEDDED_GRIDS)
    assert grids[2] == EMBEDDED_GRIDS[2]
    assert (grids[3].cell, grids[3].gap, grids[3].margin) == (40, EMBEDDED_GRIDS[3].gap, 8)


def test_check_subject_shows_what_is_used_and_what_is_not_known(folders, capsys):
    assert main(["check-subject", str(folders / "own")]) == 0
    assert "stimuli.toml: gray = ash, plane = jet, red = crimson" in capsys.readouterr().out
    assert main(["check-subject", str(folders / "untold")]) == 1
    said = capsys.readouterr().out
    for word in ("red", "gray", "plane"):
        assert f"FAILED: the tokenizer does not know '{word}': stimuli.toml" in said
