"""Where image and prompt stand: alone, in a user's turn, or with the sentence begun for the model.

plain: the image, then the prompt. chat: both in the user's turn of the family's chat template, and the
model's turn begins (what the public reproduction fed most models). prefilled: the user's turn holds the image
and the instruction, and the sentence stands in the model's turn, which goes on.
"""

from __future__ import annotations

import contextlib
from typing import Any, Literal, get_args

from jinja2 import TemplateError

from harness.subjects.anatomy import Anatomy
from harness.subjects.registry import Refused

Arrangement = Literal["plain", "chat", "prefilled"]

SYSTEM_TURN = (
    "Complete the sentence describing the scene, starting by the color of the missing object."
)
"""The instruction for sentences, as the public reproduction gives it; questions have none."""


UNUSABLE = (TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError)
"""What a template may raise: it is a program, and one for text alone is given an image here."""


class NoTemplate(Refused, ValueError):
    """The tokenizer has no chat template that holds an image and a prompt."""


def asks(text: str) -> bool:
    """Whether a prompt is whole and wants an answer, rather than a sentence that is to be gone on with."""
    return text.rstrip().endswith((".", "?", ":"))


def arranged(
    tokenizer: Any, anatomy: Anatomy, how: Arrangement, text: str, image: str
) -> tuple[str, int]:
    """The whole text that the tokenizer sees, and where the prompt begins in it.

    Args:
        tokenizer: Its chat template is used.
        anatomy: Of the family.
        how: The arrangement. A whole question cannot be begun for the model: prefilled, it is asked in a chat.
        text: The prompt.
        image: All that is written for the image.

    Raises:
        ValueError: Another arrangement, or one that is not settled yet.
        NoTemplate: There is no template, or the image or the prompt is not in what it gives.
    """
    if how not in get_args(Arrangement):
        raise ValueError(f"no arrangement {how!r}; one of {', '.join(get_args(Arrangement))}")
    place = anatomy.placeholder or anatomy.image_token
    if how == "plain":
        return _placed(anatomy, anatomy.plain.format(image=place) + text, image, text)
    if not getattr(tokenizer, "chat_template", None):
        raise NoTemplate(
            f"the tokenizer has no chat template, so its arrangement can be plain, not {how}"
        )
    if how == "prefilled" and not asks(text):
        whole = _prefilled(tokenizer, text)
    else:
        whole = _asked(tokenizer, text)
    if whole.count(place) != 1 or text not in whole:
        raise NoTemplate(
            f"the chat template gives {whole!r}, which should hold the prompt and {place} once: it is not "
            f'of the family {anatomy.family}; use a template of the family, or arrangement = "plain"'
        )
    return _placed(anatomy, whole, image, text)


def _placed(anatomy: Anatomy, whole: str, image: str, text: str) -> tuple[str, int]:
    """The image's text in its place, and where the prompt begins then."""
    before, after = whole.split(anatomy.placeholder or anatomy.image_token, 1)
    space = " " if anatomy.spaced and after[:1] not in ("", "<") and not after[0].isspace() else ""
    whole = before + image + space + after
    return whole, whole.rindex(text)


def _asked(tokenizer: Any, text: str) -> str:
    """The prompt in the user's turn; for a sentence the instruction stands in the system's."""
    if asks(text):
        return _rendered(tokenizer, [_user(text)])
    with contextlib.suppress(NoTemplate):
        system = {"role": "system", "content": [{"type": "text", "text": SYSTEM_TURN}]}
        whole = _rendered(tokenizer, [system, _user(text)])
        if SYSTEM_TURN in whole:
            return whole
    # Some families know no system turn: their templates raise, or leave it out without a word.
    return _rendered(tokenizer, [_user(f"{SYSTEM_TURN}\n{text}")])


def _prefilled(tokenizer: Any, text: str) -> str:
    """The sentence begun in the model's turn, with whatever space the template puts before it."""
    parts = [{"type": "text", "text": text}]
    try:
        return _continued(tokenizer, parts)
    except NoTemplate:
        # Templates of families that never see an image from the model take its turn as a string only.
        return _continued(tokenizer, text)


def _continued(tokenizer: Any, content: Any) -> str:
    turns = [_user(SYSTEM_TURN), {"role": "assistant", "content": content}]
    return _rendered(tokenizer, turns, continue_final_message=True)


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}


def _rendered(tokenizer: Any, turns: list[dict[str, Any]], **how: Any) -> str:
    how = how or {"add_generation_prompt": True}
    try:
        return tokenizer.apply_chat_template(turns, tokenize=False, **how)
    except UNUSABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoTemplate(
            f"the chat template cannot be used with an image: {reason}; use a template of the family, or "
            "--arrangement plain"
        ) from error
