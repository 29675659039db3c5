"""Where image and prompt stand in each family, and which arrangement "auto" chooses."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import chats
import numpy as np
import pytest
import torch
from families import FAMILIES, loaded
from tokenizers.processors import TemplateProcessing

from harness.experiments import arranging
from harness.experiments.arranging import (
    TRIALS,
    arrange_subject,
    choose_arrangement,
)
from harness.experiments.spelling import FoundSpelling, draw_spelling_trials
from harness.runs.subject_holder import SubjectHolder
from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.questions import draw_color_questions
from harness.subjects.anatomy import ANATOMIES
from harness.subjects.arrangement import NoTemplate, arrange_text
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import load
from harness.subjects.registry import (
    CannotAsk,
    SharedFirstPiece,
    UnknownSubject,
    find,
    read_registry,
)
from harness.subjects.spelling import Spelling
from harness.subjects.subject import Subject
from harness.subjects.wording import REPRODUCED

ENDS = {
    "qwen": ("<|im_end|>\n<|im_start|>assistant\n", "\n"),
    "llava": (" ASSISTANT:", " "),
    "idefics": ("<end_of_utterance>\nAssistant:", " "),
    "gemma": ("<end_of_turn>\n<start_of_turn>model\n", "\n"),
    "pixtral": ("[/INST]", ""),
}
"""How a prompt that is asked ends, and what stands before a sentence that is begun."""

STYLE = {
    "qwen2_vl": "qwen",
    "qwen2_5_vl": "qwen",
    "qwen3_vl": "qwen",
    "llava_onevision": "qwen",
    "internvl": "qwen",
    "llava": "llava",
    "idefics2": "idefics",
    "smolvlm": "idefics",
    "gemma3": "gemma",
    "pixtral": "pixtral",
}


@pytest.fixture
def told(of_family):
    """What the tokenizer sees of a sentence and of a question, the image written as IMAGE."""

    def whole(how, text):
        return arrange_text(of_family.tokenizer, of_family.anatomy, how, text, "IMAGE")

    return whole


SENTENCE = "In this image there is a red square and a"
QUESTION = "In this image what is the color of the square. Answer with the correct color only."


def test_a_sentence_is_asked_in_the_users_turn(of_family, told):
    text, begins = told("chat", SENTENCE)
    end, _ = ENDS[STYLE[of_family.anatomy.family]]
    assert text.endswith(SENTENCE + end)
    assert text[begins:].startswith(SENTENCE)
    assert text.count(REPRODUCED.sentence) == text.count("IMAGE") == 1
    assert text.index(REPRODUCED.sentence) < begins


def test_a_sentence_is_begun_in_the_models_turn(of_family, told):
    text, begins = told("prefilled", SENTENCE)
    end, before = ENDS[STYLE[of_family.anatomy.family]]
    assert text.endswith(end.rstrip() + before + SENTENCE)
    assert begins == len(text) - len(SENTENCE)
    assert text.index("IMAGE") < text.index(REPRODUCED.sentence) < begins


@pytest.mark.parametrize("how", ["chat", "prefilled"])
def test_a_question_is_asked_without_an_instruction_in_either(of_family, told, how):
    text, _ = told(how, QUESTION)
    end, _ = ENDS[STYLE[of_family.anatomy.family]]
    assert text.endswith(QUESTION + end)
    assert REPRODUCED.sentence not in text


@pytest.mark.parametrize("how", ["plain", "chat", "prefilled"])
def test_mentions_and_answers_are_found_in_every_arrangement(of_family, how):
    subject = arrange_subject(of_family, how)
    trials = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], 3, np.random.default_rng(0))
    batch = subject.encode(trials)
    for row, trial in enumerate(trials):
        for obj, tokens in zip(trial.described, batch.mentions[row], strict=True):
            said = subject.tokenizer.decode(batch.input_ids[row, list(tokens)])
            assert said.strip() == obj.name
        word = subject.tokenizer.decode([subject.answer_id(trial.prompt, trial.answer)])
        assert trial.answer.startswith(word.strip())
        commas = [
            subject.tokenizer.decode([batch.input_ids[row, c]]) for c in batch.separators[row]
        ]
        assert {c.strip() for c in commas} == {","}


def test_the_token_that_begins_a_text_is_written_once(of_family):
    begins = of_family.tokenizer.bos_token_id
    trial = draw_balanced_trials(of_family.grids[2], HIGH_ENTROPY[3], 1, np.random.default_rng(0))
    if begins is None:
        assert "qwen" in STYLE[of_family.anatomy.family]
        return
    counts = {
        how: int((arrange_subject(of_family, how).encode(trial).input_ids == begins).sum())
        for how in ("plain", "chat", "prefilled")
    }
    # SmolVLM's tokenizer leaves it to the template; the Qwens have none.
    plain = 0 if of_family.anatomy.family == "smolvlm" else 1
    assert counts == {"plain": plain, "chat": 1, "prefilled": 1}


@pytest.mark.parametrize("how", ["plain", "chat"])
def test_a_tokenizer_that_ends_every_text_is_refused_in_one_line(family_folders, how):
    """One that is saved as in training does (`add_eos_token`): answers would be what follows an end."""
    subject = arrange_subject(loaded(family_folders["llava"]), how)
    trial = draw_balanced_trials(subject.grids[2], HIGH_ENTROPY[3], 1, np.random.default_rng(0))
    kept = subject.encode(trial).input_ids
    ends = deepcopy(subject.tokenizer)
    ends.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    assert ends.convert_tokens_to_ids(["<s>", "</s>"]) == [1, 2]
    with pytest.raises(CannotAsk, match=r"\Allava: the tokenizer writes '</s>' after every text"):
        replace(subject, tokenizer=ends).encode(trial)
    ends.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    assert torch.equal(replace(subject, tokenizer=ends).encode(trial).input_ids, kept)


def test_a_word_right_after_idefics_image_has_a_space(of_family, told):
    text, _ = told("plain", SENTENCE)
    spaced = of_family.anatomy.family == "idefics2"
    assert ("IMAGE " + SENTENCE in text) == spaced


@pytest.mark.parametrize("how", ["chat", "prefilled"])
def test_without_a_template_there_is_no_chat(of_family, how):
    tokenizer = SimpleNamespace(chat_template=None)
    with pytest.raises(NoTemplate, match=f"can be plain, not {how}"):
        arrange_text(tokenizer, of_family.anatomy, how, SENTENCE, "IMAGE")


@pytest.mark.parametrize(
    "template",
    ["{% for turn in messages %}{{ turn.role }}{% endfor %}", chats.QWEN.replace("pad", "bad")],
)
def test_a_template_that_loses_the_image_or_the_prompt_is_refused(family_folders, template):
    subject = loaded(family_folders["qwen2_vl"])
    subject.tokenizer.chat_template = template
    with pytest.raises(NoTemplate, match="not of the family qwen2_vl"):
        arrange_text(subject.tokenizer, subject.anatomy, "chat", SENTENCE, "IMAGE")


@pytest.mark.parametrize(
    "place", ["chat_template.jinja", "chat_template.json", "processor_config.json"]
)
def test_a_template_is_found_wherever_a_repository_keeps_it(family_folders, tmp_path, place):
    folder = shutil.copytree(family_folders["qwen3_vl"], tmp_path / "kept")
    (folder / "chat_template.jinja").unlink()
    # The template of the language model alone, which the processor's replaces.
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": "none"}))
    assert loaded(folder).tokenizer.chat_template == "none"
    text = chats.QWEN if place.endswith("jinja") else json.dumps({"chat_template": chats.QWEN})
    (folder / place).write_text(text)
    assert loaded(folder).tokenizer.chat_template == chats.QWEN


def test_an_arrangement_that_does_not_exist_is_named():
    with pytest.raises(UnknownSubject, match="unknown arrangement 'verse'; known: plain, chat"):
        replace(find("tiny-llava", read_registry()), arrangement="verse")


# The arrangement "auto"


def auto(entry):
    return replace(entry, arrangement="auto")


@pytest.fixture(scope="module")
def trained():
    """The embedded subject, which answers right, with a template in which it can be asked both ways."""
    subject = load(auto(find("tiny-qwen2-vl", read_registry())))
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    begun = "{%- if messages[-1].role == 'assistant' -%}" + image + "{%- else -%}"
    # Without the instruction, none of whose words it knows.
    asked = image + "{{ messages[-1].content[-1].text.split('\\n')[-1] }}{%- endif -%}"
    last = "{%- if messages[-1].role == 'assistant' -%}{{ messages[-1].content[-1].text }}{%- endif -%}"
    return subject, begun + asked, last


def with_template(trained, chat_ends=""):
    subject, first, last = trained
    subject.tokenizer.chat_template = (
        first.replace("{%- endif -%}", chat_ends + "{%- endif -%}") + last
    )
    return subject


@pytest.mark.parametrize(
    ("chat_ends", "chosen"), [(" what is directly", "prefilled"), ("", "chat")]
)
def test_the_arrangement_that_is_answered_better_is_taken_and_the_chat_in_a_tie(
    trained, chat_ends, chosen
):
    said = []
    settled = choose_arrangement(with_template(trained, chat_ends), said.append)
    assert settled.entry.arrangement == chosen
    [line] = said
    chat, prefilled = (float(part.split()[1]) for part in line.split(": ")[1].split(", "))
    assert line == f"arrangement: chat {chat:.2f}, prefilled {prefilled:.2f}: {chosen}"
    assert prefilled > 0.8
    assert chat < prefilled - 0.3 if chat_ends else chat == prefilled


def test_what_was_chosen_is_part_of_the_fingerprint(trained):
    subject = with_template(trained)
    settled = choose_arrangement(subject, lambda line: None)
    chosen = take_fingerprint(replace(subject.entry, arrangement="chat"))
    assert chosen == settled.fingerprint != subject.fingerprint
    assert choose_arrangement(settled, pytest.fail) is settled


def test_an_arrangement_is_chosen_on_scenes_that_no_experiment_draws(trained):
    subject, *_ = trained
    drawn = draw_spelling_trials(subject, TRIALS)["sentence"]
    assert len(drawn) == TRIALS
    assert {len(t.scene) for t in drawn} == {3}
    two, rng = subject.grids[2], np.random.default_rng(0)
    judged = draw_balanced_trials(two, HIGH_ENTROPY[3], 8, rng)
    judged += [c.clean for c in draw_contrasts("id_selection", two, HIGH_ENTROPY[3], 8, rng)]
    judged += draw_color_questions(two, HIGH_ENTROPY[3], 8, rng)
    assert {len(t.scene) for t in judged} == {2, 4}


def test_a_subject_without_a_template_is_asked_plainly(checkpoints):
    entry = auto(find(str(checkpoints["tiny-llava"]), read_registry()))
    said = []
    settled = choose_arrangement(load(entry), said.append)
    assert settled.entry.arrangement == "plain"
    assert said == ["arrangement: plain (the tokenizer has no chat template)"]


@pytest.mark.parametrize("better", ["chat", "prefilled"])
def test_a_run_chooses_an_arrangement_once_and_reports_it(family_folders, monkeypatch, better):
    tried = []

    def answered(subject, form, trials):
        tried.append(subject.entry.arrangement)
        right = np.array([subject.entry.arrangement == better] * len(trials))
        return FoundSpelling(Spelling(), right, right, "")

    monkeypatch.setattr(arranging, "find_spelling", answered)
    said = []
    holder = SubjectHolder("cpu", "sdpa", said.append)
    entry = auto(find(str(family_folders["pixtral"]), read_registry()))
    subject = holder(entry)
    assert holder(entry) is subject
    assert subject.entry.arrangement == better
    assert tried == ["chat", "prefilled"]
    shares = "chat 1.00, prefilled 0.00" if better == "chat" else "chat 0.00, prefilled 1.00"
    assert said[0] == f"pixtral: arrangement: {shares}: {better}"
    assert [line.split(" ")[0] for line in said[1:]] == ["loaded", "pixtral:"]


def test_an_arrangement_in_which_answers_cannot_be_told_apart_is_not_taken(
    family_folders, monkeypatch
):
    rightly = Subject.check_answers

    def check(subject):
        if subject.entry.arrangement == "chat":
            raise SharedFirstPiece("'green' and 'gray' start with the same token")
        rightly(subject)

    monkeypatch.setattr(Subject, "check_answers", check)
    subject = load(auto(find(str(family_folders["qwen3_vl"]), read_registry())))
    said = []
    assert choose_arrangement(subject, said.append).entry.arrangement == "prefilled"
    assert said[0].startswith("arrangement: not chat, since 'green' and 'gray' start with the same")
    # A template of another family: neither can be used.
    subject.tokenizer.chat_template = chats.GEMMA
    said.clear()
    monkeypatch.setattr(Subject, "check_answers", rightly)
    assert choose_arrangement(subject, said.append).entry.arrangement == "plain"
    assert [line.split(",")[0] for line in said] == [
        "arrangement: not chat",
        "arrangement: not prefilled",
    ]


def test_every_family_has_a_template_to_be_tried_with():
    assert set(FAMILIES) == set(ANATOMIES)
    assert {STYLE[f] for f in FAMILIES} == set(ENDS)
