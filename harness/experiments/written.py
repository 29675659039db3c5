"""What subjects write: how a prompt is gone on with, the first entry of a list and its noun, a number.

Published models write Markdown, brackets, sentences, digits and words as they like. What the text says is read,
however it is spelled; `tests/experiments/test_written.py` has a table of texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.measuring.batches import cut_batches
from harness.stimuli.prompt import NUMBERS, Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit
from harness.tracing.generate import generate

ROWS = 32
"""Trials in one pass at most."""

LONGEST = 20
"""Words of an entry, at most: a text that goes on for longer without an end is no entry of a list.

The longest that LLaVA-1.5 and Qwen2.5-VL wrote about photographs, in what the reproduction stored, has 14.
"""

NUMBER_WORDS = (*NUMBERS, "ten", "eleven", "twelve")

NUMBER = rf"\b(\d+|{'|'.join(NUMBER_WORDS)})\b"

INDEX = re.compile(r"(?:(?<=\s)|\A)(\d+)\s*\.(?=\s*[a-z]|\s*\Z)")
"""A number that may count an entry of a list, and may as well end a sentence: "Total: 3. There are ..."."""

SAYS = re.compile(r"(?:[:=]|\b(?:is|are|of|count|total|answer|number|boxed))\s*\Z")
"""What stands before a number that is no index."""

ANSWERS = (r"answer|boxed", r"total|count|number of|altogether|in all")
"""Words that announce the number, those that the prompt asks for first."""

SENTENCES = (
    rf"\b(?:there (?:is|are)|i (?:can )?(?:see|count)|contains|shows) (?:only |exactly )?{NUMBER}",
    rf"{NUMBER} (?:\w+ ){{0,4}}?(?:objects|shapes|items|figures)\b",
)
"""How a sentence gives the number where nothing announces it."""

ENTRY_ENDS = re.compile(
    r"[.,;:!?()\n]|\b\d+\b(?=\s*(?:[.):]|\Z))|\b(?:two|three) an?\b|\band(?= (?:an?|the|another)\b)"
)
"""Finds the end of an entry: a punctuation mark, the next number of the list, or "and" with another object."""

NOUN_ENDS = re.compile(
    r"with|without|on|in|inside|of|at|for|from|to|by|near|next|behind|beside|above|below|under|over|along"
    r"|against|between|through|into|off|up|down|around|across|outside|that|which|who|is|are|has"
)
"""Words before which the noun of an entry stands: "plate" in "white plate with a fork"."""

PARTS_OF_NOUNS = re.compile(
    r"building|ceiling|painting|clothing|railing|string|swing|thing|dining|parking|washing|shopping|swimming"
    r"|cutting|baking|sewing|vending|frying|wedding|crossing|serving|landing|duckling|king|ring|wing"
)
"""Words in -ing that are nouns or stand before one; all others say what the noun before them does."""


def continue_prompts(
    subject: Subject,
    trials: Sequence[Trial],
    tokens: int,
    edits: Callable[[Batch, slice], Sequence[Edit]] | None = None,
    ablated: Sequence[tuple[int, int]] = (),
) -> list[str]:
    """The text with which the subject goes on after each prompt, as it writes it.

    Args:
        subject: The model.
        trials: n of them.
        tokens: How many are written, at most.
        edits: Makes the edits of one batch, from the batch and the slice of `trials` that it holds.
        ablated: (layer, head) pairs that are silenced at every token.
    """
    found: list[str] = []
    # What the subject writes before the name of a color is no beginning of a list or a count.
    subject = replace(subject, speech=subject.speech.drop_leads())
    for part in cut_batches(len(trials), ROWS):
        batch = subject.encode(trials[part])
        made = edits(batch, part) if edits else ()
        found += generate(subject, batch, tokens, made, ablated)
    return found


def read_first_entry(text: str) -> str:
    """The first entry of a list, in the subject's spelling and without its article; "" if there is none.

    Args:
        text: What was written after "1. a", or a list that begins anew.
    """
    plain = re.sub(r"[*_`#\[\]]", "", text).strip()
    begun = re.search(r"(?:\A|(?<=\s))1\s*[.):]", plain)
    if begun and not re.search(r"\b2\s*[.)]", plain[: begun.start()]):
        plain = plain[begun.end() :].strip()
    opening = r"\A(?:\d+(?=[a-z]))?(?:(?:an?|the|n|in this image,?|there is)(?:\s+|\Z))*"
    plain = re.sub(opening, "", plain.strip("'\" "), flags=re.I)
    entry = ENTRY_ENDS.split(plain, maxsplit=1)[0]
    words = re.sub(r"(?:\s+and)+\s*\Z", "", entry, flags=re.I).split()
    counted = bool(words) and re.fullmatch(NUMBER, words[0].lower()) is not None
    # After "1. a" a number begins another entry, or no entry of one object.
    if counted or len(words) > LONGEST:
        return ""
    return " ".join(words)


def find_noun(entry: str) -> str:
    """The noun that an entry names its object by, in lower case: "plane" of "Blue and white plane hanging low".

    It is the last word before a preposition, or before what the object is doing. "" if the entry has no words.
    """
    words = re.findall(r"[a-z]+(?:['-][a-z]+)*", entry.lower())
    for place in range(1, len(words)):
        if _ends_noun(words, place):
            return words[place - 1]
    return words[-1] if words else ""


def _ends_noun(words: Sequence[str], place: int) -> bool:
    """Whether the noun stands before the word at a place: a preposition, "riding", "parked" in "parked on"."""
    word, following = words[place], words[place + 1 : place + 2]
    if NOUN_ENDS.fullmatch(word):
        return True
    if word.endswith("ing"):
        return not PARTS_OF_NOUNS.fullmatch(word)
    # Short words such as "bed" and "shed" are nouns themselves.
    parted = word.endswith("ed") and len(word) >= 5
    return parted and bool(following) and NOUN_ENDS.fullmatch(following[0]) is not None


def read_number(text: str) -> int | None:
    """The number of objects that a text gives; None if it gives none, as a list that never says how many.

    What is announced counts more than what a sentence says. Of several answers the last one counts: by then a
    subject has corrected itself.
    """
    plain = re.sub(r"(?:(?<=\s)|\A)(\d+)\)", r"\1.", re.sub(r"[*_`#]", " ", text.lower()))
    plain, listed = _drop_indices(re.sub(r"[$\\{}\[\]()<>\"']", " ", plain))
    for announcing in ANSWERS:
        for found in reversed(list(re.finditer(rf"\b(?:{announcing})\b", plain))):
            number = _read_statement(plain[found.end() :])
            if number is not None:
                return number
    words = " ".join(plain.split())
    for sentence in SENTENCES:
        if said := re.findall(sentence, words):
            return _convert_number(said[-1])
    first = None if listed else re.search(NUMBER, words)
    return _convert_number(first[1]) if first else None


def _drop_indices(text: str) -> tuple[str, bool]:
    """The text without the numbers 1, 2, 3, ... that count entries of a list, and whether there were any."""
    kept, done, expected = "", 0, 1
    for found in INDEX.finditer(text):
        number, before = int(found[1]), text[: found.start()]
        begins = number == 1 and found.end() < len(text.rstrip())
        if begins or (number == expected and not SAYS.search(before)):
            kept += text[done : found.start()] + " "
            done, expected = found.end(), number + 1
    return kept + text[done:], done > 0


def _read_statement(text: str) -> int | None:
    """The number in the sentence with which a text begins, after the word that announced it."""
    statement = re.split(r"\.(?:\s|\Z)|\n|;", text.lstrip(" \n\t:=.->"), maxsplit=1)[0]
    for how in (rf"=\s*{NUMBER}", rf"\btotal\b.*?{NUMBER}", NUMBER):
        if found := re.findall(how, statement):
            return _convert_number(found[-1] if how.startswith("=") else found[0])
    return None


def _convert_number(word: str) -> int:
    return int(word) if word.isdigit() else NUMBER_WORDS.index(word)
