"""What chat templates do with system turns, images and the model's turn, for each form of prompt."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

import chats
import numpy as np
import pytest
from families import loaded
from jinja2 import TemplateError

from harness.cli.main import main
from harness.experiments.arranging import arrange_subject
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import numbered_list, scene_description, spatial_question
from harness.subjects.arrangement import NoTemplate, arrange_text
from harness.subjects.subject import find_tokens
from harness.subjects.wording import find_instruction

IMAGES = {
    "qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "llava": "<image>",
    "pixtral": "[IMG]",
}
"""How the chats of three families write an image; their tokenizers cut words in three ways."""

HEADER = "<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Kind:
    """One kind of template: how a chat ends, what stands before a begun sentence, and what cannot be asked."""

    template: str
    end: str
    before: str
    refused: dict[tuple[str, str], str] = field(default_factory=dict)


def _refuse(reason: str, *cases: tuple[str, str]) -> dict[tuple[str, str], str]:
    return dict.fromkeys(cases, reason)


ALL = tuple(
    (how, form) for how in ("chat", "prefilled") for form in ("sentence", "list", "question")
)
BEHIND = [case for case in ALL if case[0] == "chat" or case[1] == "question"]

KINDS = {
    "takes parts everywhere": Kind(chats.CHATML, HEADER, "\n"),
    "a space after the header": Kind(chats.VICUNA, " ASSISTANT:", "ASSISTANT: "),
    "joins the system's turn, nothing after the header": Kind(chats.PIXTRAL, "[/INST]", "[/INST]"),
    "calls words content": Kind(chats.PIXTRAL_CONTENT, "[/INST]", "[/INST]"),
    "refuses a system turn": Kind(chats.GEMMA, "<end_of_turn>\n<start_of_turn>model\n", "model\n"),
    "drops a system turn": Kind(chats.SILENT, HEADER, "assistant\n"),
    "puts the image first": Kind(chats.IMAGE_FIRST, " ASSISTANT:", "ASSISTANT: "),
    "puts the image last": Kind(
        chats.IMAGE_LAST, " ASSISTANT:", "ASSISTANT: ", _refuse("comes after the prompt", *BEHIND)
    ),
    "is for text alone": Kind(
        chats.TEXT_ONLY, "", "", _refuse("cannot be used with an image: 'list object'", *ALL)
    ),
    "leaves the image out": Kind(
        chats.CHATML.replace("IMAGE", ""), "", "", _refuse("is missing", *ALL)
    ),
    "writes the image twice": Kind(
        chats.CHATML.replace("IMAGE", "IMAGE IMAGE"), "", "", _refuse("stands 2 times", *ALL)
    ),
    "writes words twice": Kind(
        chats.SILENT.replace("{{ part.text }}", "{{ part.text }} {{ part.text }}"),
        "",
        "",
        _refuse("the prompt stands 2 times", *ALL),
    ),
}

RED, BLUE = HIGH_ENTROPY[3][:2]

PROMPTS = {
    "sentence": scene_description([RED], BLUE),
    "list": numbered_list([RED, BLUE], 1),
    "question": spatial_question("left", RED, "blue"),
}

SEEN = "<the image's text>"


@pytest.fixture(scope="module", params=list(IMAGES))
def reader(request, family_folders):
    """A subject of a family, whose template the tests replace."""
    return loaded(family_folders[request.param])


def give(reader, template: str) -> None:
    for image in ("[IMG]", "<image>", "<start_of_image>"):
        template = template.replace(image, "IMAGE")
    reader.tokenizer.chat_template = template.replace("IMAGE", IMAGES[reader.anatomy.family])


def cut_mentions(reader, prompt, whole: str, begins: int) -> list[str]:
    """The words that the tokens of each mention in the prompt decode to."""
    tokens = reader.tokenizer(whole, return_offsets_mapping=True)
    spans = [s for s in prompt.mentions if s[1] <= len(prompt.text)]
    found = [find_tokens(s, tokens["offset_mapping"], begins, 0) for s in spans]
    return [reader.tokenizer.decode([tokens["input_ids"][i] for i in x]).strip() for x in found]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", PROMPTS)
@pytest.mark.parametrize("how", ["plain", "chat", "prefilled"])
@pytest.mark.parametrize("suffix", ["", " Answer:"])
def test_the_text_holds_image_and_prompt_once_and_ends_as_the_template_leaves_it(
    reader, kind, form, how, suffix
):
    prompt, case = PROMPTS[form], KINDS[kind]
    give(reader, case.template)
    if reason := case.refused.get((how, form)):
        with pytest.raises(NoTemplate) as refused:
            arrange_text(reader.tokenizer, reader.anatomy, how, prompt.text, SEEN, suffix)
        check_refusal(reader, str(refused.value), reason)
        return
    whole, begins = arrange_text(reader.tokenizer, reader.anatomy, how, prompt.text, SEEN, suffix)
    said = prompt.text + (suffix if form == "question" else "")
    assert (whole.count(SEEN), whole.count(said)) == (1, 1)
    assert whole.index(SEEN) < begins == whole.index(said)
    assert cut_mentions(reader, prompt, whole, begins) == [RED.name]
    if how == "plain":
        assert whole.endswith(said)
        return
    begun = how == "prefilled" and form != "question"
    assert whole.endswith(case.before + said if begun else said + case.end)
    instruction = find_instruction(reader.anatomy.family, prompt.text)
    assert (form == "question") == (not instruction)
    assert instruction in whole[:begins]
    assert whole.count(instruction) == 1 or not instruction


def check_refusal(reader, line: str, reason: str) -> None:
    assert reason in line
    assert len(line.splitlines()) == 1
    assert f"of {reader.tokenizer.name_or_path} " in line
    assert line.endswith(
        f"not of the family {reader.anatomy.family}: use one that is, or --arrangement plain"
    )


RAISING = {
    "counts too far": ("{% for i in range(10**9) %}{% endfor %}", OverflowError),
    "divides by nothing": ("{{ 1 // 0 }}", ZeroDivisionError),
    "calls itself": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", RecursionError),
    "asks for all memory": ("{{ 'x' * 10**18 }}", MemoryError),
    "breaks out of no loop": ("{% break %}", SyntaxError),
    "changes what it is given": ("{{ messages.clear() }}", TemplateError),
    "names a field that is not there": ("{{ '{x}'.format() }}", KeyError),
    "names an encoding that is not there": ("{{ 'x'.encode('no such') }}", LookupError),
    "includes a file": ("{% include 'x' %}", TypeError),
    "asks for what is undefined": ("{{ messages[0].content.begins('x') }}", TemplateError),
    "is cut off": ("{% for turn in messages", TemplateError),
}


@pytest.mark.parametrize("how", ["chat", "prefilled"])
@pytest.mark.parametrize(("template", "kind"), RAISING.values(), ids=list(RAISING))
def test_whatever_a_template_raises_is_a_refusal_in_one_line(family_folders, template, kind, how):
    reader = loaded(family_folders["pixtral"])
    # The word is looked for by transformers before it lets a turn be continued.
    reader.tokenizer.chat_template = "{# content #}" + template
    with pytest.raises(NoTemplate) as refused:
        arrange_text(reader.tokenizer, reader.anatomy, how, PROMPTS["sentence"].text, SEEN)
    check_refusal(reader, str(refused.value), "cannot be used with an image: ")
    assert isinstance(refused.value.__cause__, kind)


@pytest.mark.parametrize("how", ["chat", "auto"])
@pytest.mark.parametrize(
    "template",
    # In the last, sentences can be begun in the model's turn, but no question can be asked.
    [chats.TEXT_ONLY, "{{ 1 // 0 }}", chats.GEMMA, chats.IMAGE_LAST.replace("IMAGE", "[IMG]")],
    ids=["for text alone", "raises", "of another family", "image last"],
)
def test_check_subject_says_in_one_line_that_a_template_cannot_be_used(
    family_folders, tmp_path, capsys, monkeypatch, template, how
):
    from harness.tracing import conformance

    monkeypatch.setattr(conformance, "check_conformance", lambda subject: [])
    folder = copy_with_template(family_folders["pixtral"], tmp_path / "copy", template)
    status = main(["check-subject", str(folder), "--arrangement", how])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    if how == "chat":
        assert status == 2
        [line] = err.splitlines()
        assert line.startswith(f"claims check-subject: the chat template of {folder} ")
    else:
        assert status == 0
        lines = out.splitlines()
        starts = [line.split(" of ")[0] for line in lines[:2]]
        assert starts == [
            f"arrangement: not {x}, since the chat template" for x in ("chat", "prefilled")
        ]
        assert lines[3] == (
            "copy: asked plain (tried as a model of its family is by name, of which it can use none; "
            "--arrangement asks it otherwise)"
        )


def copy_with_template(source, folder, template: str):
    shutil.copytree(source, folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder


def test_a_real_pixtral_template_is_used_in_both_arrangements_and_leaves_no_space(family_folders):
    """Joined to the system's turn, it raised for parts; the space that stood here before hid its answers."""
    reader = loaded(family_folders["pixtral"])
    told = find_instruction("pixtral", PROMPTS["sentence"].text)
    texts = {
        how: arrange_text(reader.tokenizer, reader.anatomy, how, PROMPTS["sentence"].text, SEEN)[0]
        for how in ("chat", "prefilled")
    }
    said = PROMPTS["sentence"].text
    assert texts == {
        "chat": f"<s>[INST]{told}\n\n{SEEN}{said}[/INST]",
        "prefilled": f"<s>[INST]{SEEN}{told}[/INST]{said}",
    }
    drawn = draw_balanced_trials(reader.grids[2], HIGH_ENTROPY[3], 1, np.random.default_rng(0))
    batch = arrange_subject(reader, "chat").encode(drawn)
    assert reader.tokenizer.decode(batch.input_ids[0, -1:]) == "[/INST]"
