"""Arrangements of image and prompt: alone, in the user's turn of a chat, or begun in the model's turn.

plain: the image, then the prompt. chat: both in the user's turn of the family's chat template, after which the
model's turn begins (what the public reproduction fed most models). prefilled: the user's turn holds the image
and the instruction, and the model's turn begins with the sentence and goes on.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from jinja2 import TemplateError

from harness.subjects.anatomy import Anatomy
from harness.subjects.registry import Refused

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Arrangement = Literal["plain", "chat", "prefilled"]


class Turn(TypedDict):
    """One turn of a chat, as templates take it: text alone, or parts that name their type."""

    role: Literal["system", "user", "assistant"]
    content: str | list[dict[str, str]]


SYSTEM_TURN = (
    "Complete the sentence describing the scene, starting by the color of the missing object."
)
"""The public reproduction's instruction to complete a sentence; questions have none."""

UNUSABLE = (TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError)
"""Errors that a template may raise: it is a program, and one written for text alone is given an image."""


class NoTemplate(Refused, ValueError):
    """The tokenizer has no chat template that can hold an image and a prompt."""


def is_question(text: str) -> bool:
    """Whether a prompt is a whole question, not the beginning of a sentence."""
    return text.rstrip().endswith((".", "?", ":"))


def arrange_text(
    tokenizer: PreTrainedTokenizerBase,
    anatomy: Anatomy,
    how: Arrangement | Literal["auto"],
    text: str,
    image: str,
) -> tuple[str, int]:
    """Write the whole text that the tokenizer reads, and say where the prompt begins in it.

    Args:
        tokenizer: Its chat template is used.
        anatomy: The family's.
        how: The arrangement. A question cannot be begun in the model's turn: prefilled, it is asked as in chat.
        text: The prompt.
        image: The text that stands for the image, from its `Layout`.

    Raises:
        ValueError: No such arrangement, or "auto", which must be replaced by one before.
        NoTemplate: There is no template, or its text lacks the image or the prompt.
    """
    if how not in get_args(Arrangement):
        raise ValueError(f"no arrangement {how!r}; one of {', '.join(get_args(Arrangement))}")
    place = anatomy.placeholder or anatomy.image_token
    if how == "plain":
        return _insert_image(anatomy, anatomy.plain.format(image=place) + text, image, text)
    if not getattr(tokenizer, "chat_template", None):
        raise NoTemplate(
            f"the tokenizer has no chat template, so its arrangement can be plain, not {how}"
        )
    if how == "prefilled" and not is_question(text):
        whole = _begin_turn(tokenizer, text)
    else:
        whole = _ask_in_chat(tokenizer, text)
    if whole.count(place) != 1 or text not in whole:
        raise NoTemplate(
            f"the chat template gives {whole!r}, which should hold the prompt and {place} once: it is not "
            f'of the family {anatomy.family}; use a template of the family, or arrangement = "plain"'
        )
    return _insert_image(anatomy, whole, image, text)


def _insert_image(anatomy: Anatomy, whole: str, image: str, text: str) -> tuple[str, int]:
    """Replace the placeholder by the image's text, and say where the prompt then begins."""
    before, after = whole.split(anatomy.placeholder or anatomy.image_token, 1)
    space = " " if anatomy.spaced and after[:1] not in ("", "<") and not after[0].isspace() else ""
    whole = before + image + space + after
    return whole, whole.rindex(text)


def _ask_in_chat(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Put the prompt into the user's turn, and for a sentence the instruction into the system's."""
    if is_question(text):
        return _render(tokenizer, [_user_turn(text)])
    with contextlib.suppress(NoTemplate):
        system: Turn = {"role": "system", "content": [{"type": "text", "text": SYSTEM_TURN}]}
        whole = _render(tokenizer, [system, _user_turn(text)])
        if SYSTEM_TURN in whole:
            return whole
    # Some families have no system turn: their templates raise, or silently leave it out.
    return _render(tokenizer, [_user_turn(f"{SYSTEM_TURN}\n{text}")])


def _begin_turn(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Begin the model's turn with the sentence, after whatever space the template puts before it."""
    parts = [{"type": "text", "text": text}]
    try:
        return _continue_turn(tokenizer, parts)
    except NoTemplate:
        # Some templates take the model's turn only as a string, since it never holds an image.
        return _continue_turn(tokenizer, text)


def _continue_turn(tokenizer: PreTrainedTokenizerBase, content: str | list[dict[str, str]]) -> str:
    turns: list[Turn] = [_user_turn(SYSTEM_TURN), {"role": "assistant", "content": content}]
    return _render(tokenizer, turns, continue_final_message=True)


def _user_turn(text: str) -> Turn:
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}


def _render(tokenizer: PreTrainedTokenizerBase, turns: list[Turn], **options: bool) -> str:
    options = options or {"add_generation_prompt": True}
    try:
        return tokenizer.apply_chat_template(turns, tokenize=False, **options)
    except UNUSABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoTemplate(
            f"the chat template cannot be used with an image: {reason}; use a template of the family, or "
            "--arrangement plain"
        ) from error
