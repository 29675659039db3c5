"""The words around a prompt that each family needs: its instruction in a chat, and what ends its questions.

A chat model that is given a sentence says it again from its beginning, or comments on it, unless it is told to
complete it; in which words is known only from the public reproduction of the paper.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Form = Literal["sentence", "list", "question"]
"""What a prompt is: the beginning of a sentence, of an entry in a numbered list, or a whole question."""

ENTRY = re.compile(r"(?:^|\s)(\d+)\. an?$")
"""How a list ends whose next entry is asked: "1. a"."""


@dataclass(frozen=True)
class Wording:
    """The words that one family needs around a prompt.

    Attributes:
        sentence: The instruction to complete a sentence.
        first_entry: The instruction to begin a numbered list.
        next_entry: The instruction to go on with one.
        suffixes: What a question may have to end in, in the order in which it is tried; "" for nothing.
        arrangement: How the family is asked if it has a chat template: "plain", or "auto" for the better
            answered of the template's two arrangements.
        source: Where the words come from.
    """

    sentence: str
    first_entry: str
    next_entry: str
    suffixes: tuple[str, ...]
    arrangement: Literal["plain", "auto"]
    source: str


_TASK = "Complete the sentence describing the scene"

REPRODUCED = Wording(
    sentence=f"{_TASK}, starting by the color of the missing object.",
    first_entry=f"{_TASK} using the format: [OBJECT1] 2. a [OBJECT2].",
    next_entry=f"{_TASK} using the format: OBJECT.",
    suffixes=("",),
    arrangement="auto",
    source="system turns of the public reproduction (protocol, 4.2; lists: E10); questions had none",
)
"""Of the families that the public reproduction asked in a chat."""

_UNPUBLISHED = replace(
    REPRODUCED, source="not in the public reproduction: the words of its other chat models"
)

WORDINGS: dict[str, Wording] = {
    "qwen2_vl": REPRODUCED,
    "qwen2_5_vl": REPRODUCED,
    "llava_onevision": REPRODUCED,
    "idefics2": REPRODUCED,
    "llava": replace(
        REPRODUCED,
        suffixes=("", " Answer:"),
        arrangement="plain",
        source="plain, since LLaVA-1.5 says the sentence again in a chat (protocol, 4.2), so an instruction is "
        "needed only where a chat is asked for; a question without 'Answer:' is answered with the end of the "
        "turn (blog of the reproduction; protocol, 8)",
    ),
    "qwen3_vl": _UNPUBLISHED,
    "gemma3": _UNPUBLISHED,
    "internvl": _UNPUBLISHED,
    "smolvlm": _UNPUBLISHED,
    "pixtral": _UNPUBLISHED,
}
"""By the names of `harness.subjects.anatomy`."""


def tell_form(text: str) -> Form:
    """Whether a prompt begins a sentence, begins an entry of a numbered list, or is a whole question."""
    text = text.rstrip()
    if ENTRY.search(text):
        return "list"
    return "question" if text.endswith((".", "?", ":")) else "sentence"


def find_instruction(family: str, text: str) -> str:
    """The instruction that a family is given with a prompt in a chat; "" for a question, which needs none."""
    wording, form = WORDINGS[family], tell_form(text)
    if form == "question":
        return ""
    if form == "sentence":
        return wording.sentence
    entry = ENTRY.search(text.rstrip())
    return wording.first_entry if entry and int(entry[1]) == 1 else wording.next_entry


def add_suffix(text: str, suffix: str) -> str:
    """The prompt with `suffix` at its end if it is a question that does not say itself what its answer follows.

    The paper's counting prompt does: it asks for a list first, and for 'Answer:' after it.
    """
    if tell_form(text) != "question" or suffix.strip() in text:
        return text
    return text + suffix
