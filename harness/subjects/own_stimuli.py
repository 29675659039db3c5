"""stimuli.toml beside a checkpoint's weights: the words, prompts and canvases that the model was trained with.

Experiments draw and name everything in the paper's words. What a model is given is said in its own, and what it
answers is read back, so that no experiment and no reading knows of the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness.stimuli.prompt import Prompt, Span, Trial, color_question, scene_description
from harness.stimuli.scene import COLORS, SHAPES, Grid, Object
from harness.subjects.wording import tell_form

FILE = "stimuli.toml"

WORD = re.compile(r"[^\W\d_]+")

BEGIN = scene_description((), Object("red", "circle"), commas=False).text.removesuffix(" a")
"""How a description begins: "In this image there is"."""

QUESTION = re.compile(re.escape(color_question("SHAPE", "red").text).replace("SHAPE", r"(\w+)"))

ARRANGED = ("plain", "chat", "prefilled", "auto")
LEAST = {"cell": 8, "gap": 0, "margin": 0}
"""Fewest pixels of each length of a grid; the shapes cannot be told in smaller cells."""

KEYS = ("arrangement", "colors", "shapes", "grids", "wording")
WORDED = ("description", "question")


class BadStimuli(ValueError):
    """A stimuli.toml that cannot be used; the message is one line that names the key and what is allowed."""


@dataclass(frozen=True)
class OwnStimuli:
    """What a model was trained with, as far as it differs.

    Attributes:
        words: The paper's word for a color or shape, and the model's.
        arrangement: As in `Entry`; "" for the usual one.
        description: How a description begins; "" for the paper's words.
        question: The question for the color of a {shape}; "" for the paper's.
        grids: Number of rows, and the lengths in pixels that are given.
    """

    words: tuple[tuple[str, str], ...] = ()
    arrangement: Literal["", "plain", "chat", "prefilled", "auto"] = ""
    description: str = ""
    question: str = ""
    grids: tuple[tuple[int, tuple[tuple[str, int], ...]], ...] = ()

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The model's word for each of the paper's that it has another one for."""
        return dict(self.words)

    @cached_property
    def meanings(self) -> Mapping[str, str]:
        """The paper's word for each of the model's own."""
        return {own: word for word, own in self.words}

    def __str__(self) -> str:
        """Everything that the file says, in one line as scorecards show it."""
        told = [f"{word} = {own}" for word, own in self.words]
        told += [f"arrangement = {self.arrangement}"] if self.arrangement else []
        told += [f"description = {self.description!r}"] if self.description else []
        told += [f"question = {self.question!r}"] if self.question else []
        told += [f"grids.{n}.{k} = {v}" for n, lengths in self.grids for k, v in lengths]
        return ", ".join(told) or "nothing else than usual"

    def change_grids(self, usual: Mapping[int, Grid]) -> dict[int, Grid]:
        """The grids of a subject, by their number of rows."""
        own = {rows: dict(lengths) for rows, lengths in self.grids}
        return {rows: replace(grid, **own.get(rows, {})) for rows, grid in usual.items()}

    def say(self, trial: Trial) -> Trial:
        """A trial with its prompt in the model's words; what it shows stays as it is."""
        if not (self.words or self.description or self.question):
            return trial
        return replace(trial, prompt=self._say_prompt(trial.prompt))

    def read_back(self, text: str) -> str:
        """A text of the model's with its own words for colors and shapes replaced by the paper's."""
        return WORD.sub(lambda word: self.meanings.get(word[0].lower(), word[0]), text)

    def _say_prompt(self, prompt: Prompt) -> Prompt:
        whole = prompt.text + prompt.completion
        changes = sorted(self._find_changes(whole))

        def move(place: int) -> int:
            return place + sum(len(new) - (b - a) for a, b, new in changes if b <= place)

        def move_span(span: Span) -> Span:
            return move(span[0]), move(span[1])

        said, end = "", 0
        for a, b, new in changes:
            said, end = said + whole[end:a] + new, b
        said += whole[end:]
        read = move(len(prompt.text))
        return Prompt(
            said[:read],
            said[read:],
            tuple(map(move_span, prompt.mentions)),
            tuple(comma and move_span(comma) for comma in prompt.separators),
            tuple(map(move_span, prompt.statements)),
        )

    def _find_changes(self, whole: str) -> Iterator[tuple[int, int, str]]:
        """What is replaced: from, to, and by what."""
        done = 0
        asked = QUESTION.match(whole)
        if self.description and whole.startswith(BEGIN):
            done = len(BEGIN)
            yield 0, done, self.description
        elif self.question and asked:
            done = asked.end()
            yield 0, done, self.question.replace("{shape}", self.names.get(asked[1], asked[1]))
        for word in WORD.finditer(whole, done):
            if word[0] in self.names:
                yield word.start(), word.end(), self.names[word[0]]


USUAL = OwnStimuli()
"""Of a model that was trained with nothing of its own, as far as anybody says."""


def read_own_stimuli(folder: Path) -> OwnStimuli:
    """What a checkpoint's folder says of its stimuli; nothing without the file.

    Raises:
        BadStimuli: A key is unknown, or has a value that is not allowed.
    """
    path = folder / FILE
    if not path.is_file():
        return USUAL
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadStimuli(f"{path}: not TOML: {error}") from None
    except OSError as error:
        raise BadStimuli(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return _read(content)
    except BadStimuli as error:
        raise BadStimuli(f"{path}: {error}") from None


def _read(content: dict[str, Any]) -> OwnStimuli:
    _check_keys(content, "", KEYS)
    arrangement = content.get("arrangement", "")
    if arrangement not in ("", *ARRANGED) or content.get("arrangement") == "":
        raise BadStimuli(f"arrangement = {arrangement!r}: one of {', '.join(ARRANGED)}")
    words = _read_words(content, "colors", tuple(COLORS))
    words |= _read_words(content, "shapes", tuple(SHAPES))
    used = [words.get(word, word) for word in (*COLORS, *SHAPES)]
    if twice := sorted({word for word in used if used.count(word) > 1}):
        raise BadStimuli(
            f"colors and shapes: {twice[0]!r} stands for two of them: each has a word of its own"
        )
    wording = _read_table(content, "wording", WORDED)
    question = _read_text(wording, "question", "ends in '.', '?' or ':' and has {shape} once")
    if question and (question.count("{shape}") != 1 or tell_form(question) != "question"):
        raise BadStimuli(
            f"wording.question = {question!r}: ends in '.', '?' or ':' and has {{shape}} once"
        )
    description = _read_text(wording, "description", "the beginning of a sentence")
    if description and tell_form(description) != "sentence":
        raise BadStimuli(
            f"wording.description = {description!r}: the beginning of a sentence, no '.', '?' or ':' after it"
        )
    grids = _read_table(content, "grids", ("2", "3"))
    lengths = tuple((int(rows), _read_lengths(grids, rows)) for rows in sorted(grids))
    return OwnStimuli(tuple(sorted(words.items())), arrangement, description, question, lengths)


def _check_keys(table: Mapping[str, Any], where: str, known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise BadStimuli(f"unknown key {where}{key}: one of {', '.join(known)}")


def _read_table(content: Mapping[str, Any], key: str, known: tuple[str, ...]) -> dict[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise BadStimuli(f"{key} = {table!r}: a table, [{key}]")
    _check_keys(table, f"{key}.", known)
    return table


def _read_words(content: Mapping[str, Any], key: str, known: tuple[str, ...]) -> dict[str, str]:
    table = _read_table(content, key, known)
    for name, word in table.items():
        if not isinstance(word, str) or not WORD.fullmatch(word) or word != word.lower():
            raise BadStimuli(f"{key}.{name} = {word!r}: one word of lower-case letters")
    return {name: word for name, word in table.items() if name != word}


def _read_text(table: Mapping[str, Any], key: str, allowed: str) -> str:
    text = table.get(key, "")
    plain = isinstance(text, str) and text == text.strip() and text.isprintable()
    if key in table and not (plain and text):
        raise BadStimuli(
            f"wording.{key} = {text!r}: text on one line, no spaces around it; {allowed}"
        )
    return text


def _read_lengths(grids: Mapping[str, Any], rows: str) -> tuple[tuple[str, int], ...]:
    table = _read_table(grids, rows, tuple(LEAST)) if isinstance(grids[rows], dict) else None
    if table is None:
        raise BadStimuli(f"grids.{rows} = {grids[rows]!r}: a table, [grids.{rows}]")
    for name, pixels in table.items():
        if type(pixels) is not int or not LEAST[name] <= pixels <= 1024:
            raise BadStimuli(
                f"grids.{rows}.{name} = {pixels!r}: a whole number of pixels from {LEAST[name]} to 1024"
            )
    return tuple(sorted(table.items()))
