"""Arrangements of image and prompt: alone, in the user's turn of a chat, or begun in the model's turn.

plain: the image, then the prompt. chat: both in the user's turn of the family's chat template, after which the
model's turn begins (what the public reproduction fed most models). prefilled: the user's turn holds the image
and the instruction, and the model's turn begins with the sentence and goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from jinja2 import TemplateError

from harness.subjects.anatomy import Anatomy
from harness.subjects.registry import CannotAsk
from harness.subjects.wording import add_suffix, find_instruction

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Arrangement = Literal["plain", "chat", "prefilled"]


class Turn(TypedDict):
    """One turn of a chat, as templates take it: text alone, or parts that name their type."""

    role: Literal["system", "user", "assistant"]
    content: str | list[dict[str, str]]


UNUSABLE = (
    TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    SyntaxError,
)
"""Errors of a template. It is a program that comes with the checkpoint: one written for text alone is given an
image, and any may count too far, call itself, or nest too deep. Memory is not short where a page of text is
written, so that `MemoryError` is the template's own."""

SHOWN = 240
"""Characters at most of what a template wrote or raised, in the message that refuses it."""


class NoTemplate(CannotAsk):
    """The tokenizer has no chat template that can hold an image and a prompt."""


def arrange_text(
    tokenizer: PreTrainedTokenizerBase,
    anatomy: Anatomy,
    how: Arrangement | Literal["auto"],
    text: str,
    image: str,
    suffix: str = "",
) -> tuple[str, int]:
    """Write the whole text that the tokenizer reads, and say where the prompt begins in it.

    Args:
        tokenizer: Its chat template is used.
        anatomy: The family's.
        how: The arrangement. A question cannot be begun in the model's turn: prefilled, it is asked as in chat.
        text: The prompt.
        image: The text that stands for the image, from its `Layout`.
        suffix: Is written after a question, not after a sentence or list; see `harness.subjects.wording`.

    Raises:
        ValueError: No such arrangement, or "auto", which must be replaced by one before.
        NoTemplate: There is no template, or it raises, or what it writes lacks the image or the prompt, holds
            one of them twice, or has the image after the prompt. The message is one line.
    """
    if how == "auto" or how not in get_args(Arrangement):
        raise ValueError(f"no arrangement {how!r}; one of {', '.join(get_args(Arrangement))}")
    said = add_suffix(text, suffix)
    if how == "plain":
        place = anatomy.placeholder or anatomy.image_token
        whole = anatomy.plain.format(image=place) + said
    elif not getattr(tokenizer, "chat_template", None):
        raise NoTemplate(
            f"the tokenizer has no chat template, so its arrangement can be plain, not {how}"
        )
    else:
        whole = _write_chat(tokenizer, anatomy, how, said, find_instruction(anatomy.family, text))
    return _insert_image(anatomy, whole, image, said)


EXAMPLES = (
    "In this image there is a",
    "In this image there is 1. a",
    "In this image what is the color of the square. Answer with the correct color only.",
)
"""A prompt of each form: a sentence, a list, a question."""


def check_template(
    tokenizer: PreTrainedTokenizerBase, anatomy: Anatomy, how: Arrangement | Literal["auto"]
) -> None:
    """Check that prompts of every form can be asked in an arrangement.

    Raises:
        NoTemplate: One cannot, see `arrange_text`.
    """
    for text in EXAMPLES:
        arrange_text(tokenizer, anatomy, how, text, anatomy.image_token)


def _insert_image(anatomy: Anatomy, whole: str, image: str, text: str) -> tuple[str, int]:
    """Replace the placeholder by the image's text, and say where the prompt then begins."""
    before, after = whole.split(anatomy.placeholder or anatomy.image_token, 1)
    space = " " if anatomy.spaced and after[:1] not in ("", "<") and not after[0].isspace() else ""
    whole = before + image + space + after
    return whole, whole.rindex(text)


def _write_chat(
    tokenizer: PreTrainedTokenizerBase,
    anatomy: Anatomy,
    how: Literal["chat", "prefilled"],
    text: str,
    instruction: str,
) -> str:
    """Write the chat in the first way that the template takes, the image as the template writes it."""
    lacking, raised = "", None
    for turns in _list_ways(how, text, instruction):
        begun = turns[-1]["role"] == "assistant"
        end = {"continue_final_message": True} if begun else {"add_generation_prompt": True}
        try:
            whole = tokenizer.apply_chat_template(turns, tokenize=False, **end)
        except UNUSABLE as error:
            # Of several errors the last counts: that of the simplest way.
            raised = error
            continue
        # Only a system turn is left out as a whole; in the user's turn something else would be missing too.
        told = instruction if turns[0]["role"] == "system" else ""
        fault = _find_fault(whole, anatomy.placeholder or anatomy.image_token, text, told)
        if not fault:
            return whole
        lacking = lacking or f"gives {repr(whole)[:SHOWN]}, where {fault}"
    # What was written tells more than an error of another way.
    reason = (str(raised).strip().splitlines() or [type(raised).__name__])[0]
    problem = lacking or f"cannot be used with an image: {reason[:SHOWN]}"
    source = getattr(tokenizer, "name_or_path", "")
    raise NoTemplate(
        f"the chat template{source and f' of {source}'} {problem}; it is not of the family {anatomy.family}: "
        "use one that is, or --arrangement plain"
    ) from raised


def _list_ways(
    how: Literal["chat", "prefilled"], text: str, instruction: str
) -> Iterator[list[Turn]]:
    """The ways to write a chat, best first; templates differ in the turns and in the content that they take."""
    if not instruction:
        yield [_user_turn(text)]
    elif how == "prefilled":
        # Some templates take the model's turn only as a string, since it never holds an image.
        for begun in ([{"type": "text", "text": text}], text):
            yield [_user_turn(instruction), {"role": "assistant", "content": begun}]
    else:
        # Some join the system's turn to a string; some have none, and raise or leave it out without a word.
        for told in ([_write_part(instruction)], instruction):
            yield [{"role": "system", "content": told}, _user_turn(text)]
        yield [_user_turn(f"{instruction}\n{text}")]


def _user_turn(text: str) -> Turn:
    return {"role": "user", "content": [{"type": "image"}, _write_part(text)]}


def _write_part(text: str) -> dict[str, str]:
    # The words of a part are its "text"; the first templates of Pixtral look for them in its "content".
    return {"type": "text", "text": text, "content": text}


def _find_fault(whole: str, image: str, text: str, instruction: str) -> str:
    """What is wrong with a chat that a template wrote, in words; "" if it holds everything once, in order."""
    parts = {f"the image ({image})": image, "the prompt": text, "the instruction": instruction}
    for name, part in parts.items():
        times = whole.count(part) if part else 1
        if times != 1:
            return f"{name} is missing" if not times else f"{name} stands {times} times"
    if whole.index(image) > whole.index(text):
        return f"the image ({image}) comes after the prompt, whose words could not see it"
    return ""
