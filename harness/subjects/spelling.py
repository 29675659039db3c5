"""How a subject writes an answer: which tokens begin a word, and which of them the subject itself uses.

Published models answer one and the same question with "Red", " Red" and "red". A word therefore counts however
it is written; what a subject itself writes is found out by `harness.experiments.spelling`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.stimuli.scene import COLORS, SHAPES
from harness.subjects.own_stimuli import OwnStimuli
from harness.subjects.registry import SharedFirstPiece
from harness.subjects.wording import tell_form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Case = Literal["lower", "Capital", "UPPER"]
CASES: dict[Case, Callable[[str], str]] = {
    "lower": str.lower,
    "Capital": str.capitalize,
    "UPPER": str.upper,
}

SYNONYMS: dict[str, tuple[str, ...]] = {"gray": ("grey",)}
"""Other words for a color: "grey" is how it is spelled in Britain.

LLaVA calls our orange "yellow"; that is no synonym, since yellow objects are shown as well.
"""

COLOR_NAMES = {variant: color for color in COLORS for variant in (color, *SYNONYMS.get(color, ()))}
"""The color that each word means, synonyms included."""

Asked = Literal["sentence", "question"]
ASKED: tuple[Asked, ...] = ("sentence", "question")
"""Forms of a prompt whose answer is read off its first token; entries of lists are written out."""


class Style(NamedTuple):
    """One way to write any word.

    Attributes:
        spaced: Whether the token that begins it brings a space along.
        case: Of its letters.
    """

    spaced: bool
    case: Case


STYLES = tuple(Style(spaced, case) for case in CASES for spaced in (True, False))


@dataclass(frozen=True)
class Spelling:
    """How a subject writes its answers to prompts of one form.

    Attributes:
        lead: Tokens that it writes before the answer, such as "The" or a new line. They are given to it after
            every prompt, so that the last token is the one whose logits are the answer.
        style: The style that it uses most; None if it is not known: in lower case, after a space if the prompt
            does not end with one.
        words: The synonym that it uses in place of a word, where it uses one.
        suffix: What its family needs after a question, such as " Answer:".
    """

    lead: tuple[int, ...] = ()
    style: Style | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True)
class Speech:
    """How a subject writes its answers, for each form of prompt."""

    sentence: Spelling = Spelling()
    question: Spelling = Spelling()

    def choose(self, text: str) -> Spelling:
        """The spelling of answers to a prompt; an entry of a list has nothing before it."""
        form = tell_form(text)
        if form == "list":
            return replace(self.sentence, lead=())
        return self.question if form == "question" else self.sentence

    def drop_leads(self) -> Speech:
        """The same without what is written before an answer, for texts that are read as a whole."""
        return Speech(replace(self.sentence, lead=()), replace(self.question, lead=()))

    def to_json(self) -> str:
        """Write it as JSON, for the attributes of a measurement."""
        found = {form: getattr(self, form) for form in ASKED}
        kept = {form: {f.name: getattr(s, f.name) for f in fields(s)} for form, s in found.items()}
        return json.dumps(kept, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Speech:
        """Read what `to_json` wrote."""
        return cls(**{form: _read_spelling(kept) for form, kept in json.loads(text).items()})


def _read_spelling(kept: dict[str, object]) -> Spelling:
    lead, style = kept["lead"], kept["style"]
    if not isinstance(lead, list) or not isinstance(kept["words"], dict):
        raise ValueError(f"not a spelling: {kept}")
    return Spelling(
        tuple(lead),
        Style(*style) if isinstance(style, list) else None,
        kept["words"],
        str(kept["suffix"]),
    )


class FirstTokens:
    """The tokens with which a tokenizer can begin each of some words, in every style and with synonyms.

    Args:
        tokenizer: Fast, since words are found by character offsets.
        words: Those that an answer may be.
        name: Of the subject, for messages.
        own: The subject's own word for each of the words that it has another one for.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        words: Iterable[str] = COLORS,
        name: str = "a subject",
        own: Mapping[str, str] | None = None,
    ) -> None:
        self.tokenizer, self.name, self.words = tokenizer, name, tuple(words)
        self.own = own or {}
        self._tokens: dict[tuple[str, Style], int | None] = {}

    def find(self, word: str, style: Style) -> int | None:
        """The first token of a word written in a style; None if the tokenizer does not know it."""
        if (word, style) not in self._tokens:
            self._tokens[word, style] = self._read_off(word, style)
        return self._tokens[word, style]

    def list_variants(self, word: str) -> Iterator[tuple[str, Style, int]]:
        """Every way to begin a word: the word or a synonym, the style, and the token."""
        usual = (word, *SYNONYMS.get(word, ()))
        for variant in (self.own[word],) if word in self.own else usual:
            for style in STYLES:
                token = self.find(variant, style)
                if token is not None:
                    yield variant, style, token

    @cached_property
    def meanings(self) -> dict[int, str]:
        """The word that each token begins; tokens that begin several of the words are left out."""
        begun: dict[int, set[str]] = {}
        for word in self.words:
            for _, _, token in self.list_variants(word):
                begun.setdefault(token, set()).add(word)
        return {token: min(found) for token, found in begun.items() if len(found) == 1}

    def choose(self, word: str, variant: str, style: Style) -> int:
        """The token that begins a word in one style, or in the nearest that tells it from other words.

        Args:
            word: What is meant.
            variant: The word itself, or the synonym that is used for it.
            style: How it should be written.

        Raises:
            SharedFirstPiece: It can be told in none.
        """
        # Numbers and shapes are no answers that are read off a token, so they may share it.
        shared = word not in self.words
        token = self.find(variant, style)
        if token is not None and (shared or self.meanings.get(token) == word):
            return token
        ways = [w for w in self.list_variants(word) if shared or w[2] in self.meanings]
        if not ways:
            self.check(word)
        return min(ways, key=lambda w: (w[1].case != style.case, w[1].spaced != style.spaced))[2]

    def check(self, word: str) -> None:
        """Check that some way to write a word begins with a token that begins no other word.

        Raises:
            SharedFirstPiece: It cannot in any spelling, or the tokenizer knows it in none.
        """
        pieces = sorted({token for _, _, token in self.list_variants(word)})
        if any(token in self.meanings for token in pieces):
            return
        if not pieces:
            raise SharedFirstPiece(
                f"{self.name}: the tokenizer does not know the answer {self.own.get(word, word)!r} in "
                "any spelling"
            )
        names = ", ".join(map(repr, self.tokenizer.convert_ids_to_tokens(pieces)))
        raise SharedFirstPiece(
            f"{self.name}: the answers {word!r} and {self.find_sharing(word)[0]!r} start with the same token "
            f"in every spelling ({names}), so the first token cannot tell them apart; use other colors or "
            "tokenizer"
        )

    def find_sharing(self, word: str) -> list[str]:
        """The other words that begin with the same token as a word in every style; none if it can be told."""
        tokens = {token for _, _, token in self.list_variants(word)}
        if tokens & self.meanings.keys():
            return []
        others = (w for w in self.words if w != word)
        return [w for w in others if tokens & {t for _, _, t in self.list_variants(w)}]

    def _read_off(self, word: str, style: Style) -> int | None:
        # It is read off a text, not off the word alone: most tokenizers write a word after a space differently.
        before = "a " if style.spaced else "a\n"
        read = self.tokenizer(
            before + CASES[style.case](word), return_offsets_mapping=True, add_special_tokens=False
        )
        for token, (begin, end) in zip(read["input_ids"], read["offset_mapping"], strict=True):
            if end > max(begin, len(before)):
                return None if token == self.tokenizer.unk_token_id else token
        return None


def find_unknown_words(tokenizer: PreTrainedTokenizerBase, own: OwnStimuli) -> list[str]:
    """The words for colors and shapes, as a subject is given them, that its tokenizer writes as unknown."""
    words = [own.names.get(word, word) for word in (*COLORS, *SHAPES)]
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return []
    read = [tokenizer(f"a {word}", add_special_tokens=False)["input_ids"] for word in words]
    return [word for word, ids in zip(words, read, strict=True) if unknown in ids[1:]]
