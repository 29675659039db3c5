"""Subjects that answer as published models do: in capitals, in a chat, in digits, in pieces of words.

What a subject computes stays as it is: only its tokenizer and the rows of its vocabulary change, so that every
verdict must stay what it was. They are made, when they are loaded, from the embedded subjects and the controls,
whose tokenizer has one token for each word, in lower case.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from harness.stimuli.prompt import NUMBERS
from harness.stimuli.scene import COLORS
from harness.subjects.anatomy import Anatomy

TEMPLATE = """\
{%- for turn in messages -%}
<|im_start|>{{ turn.role }}
{% for part in turn.content -%}
{%- if part.type == 'image' -%}IMAGE{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>{{ 'writer' if messages[0].role == 'system' else 'assistant' }}
{% endif -%}
"""
"""A chat in the style of Qwen's, in which a writer completes a sentence and an assistant answers a question."""

HEADERS = {"writer\n": "a", "assistant\n": "."}
"""The token that ends each header, and the word as which the model reads it.

A control looks for the target where an object is about to be named ("a") or a question ends, and nowhere else.
"""

END_OF_TURN = "<|im_end|>"

SURE = 3.0
"""Size of rows that say what follows a token whatever the image shows: above noise, below an answer."""


@dataclass
class Vocabulary:
    """The tokens of a model, each with its row of the input embedding and of the output embedding.

    Attributes:
        numbers: Of the tokens, by how they are written.
        read: Rows of the input embedding, [tokens, d].
        said: Rows of the output embedding, [tokens, d].
        special: Tokens that are found in a text before any other.
        lower: Whether capital letters are read as small ones.
        pieces: Whether words may have several pieces, and bring the space before them along.
        ends: The token that ends a turn; None for none.
        template: Of chats; None for none.
    """

    numbers: dict[str, int]
    read: list[torch.Tensor]
    said: list[torch.Tensor]
    special: list[str]
    lower: bool = True
    pieces: bool = False
    ends: str | None = None
    template: str | None = None

    def add(self, token: str, like: str) -> None:
        """Add a token that is read like another one, and said as seldom as padding."""
        if token not in self.numbers:
            self.numbers[token] = len(self.numbers)
            self.read.append(self.read[self.numbers[like]])
            self.said.append(self.said[self.numbers["<pad>"]])

    def exchange(self, one: str, other: str) -> None:
        """Say each of two tokens where the other was said."""
        a, b = self.numbers[one], self.numbers[other]
        self.said[a], self.said[b] = self.said[b], self.said[a]

    def rename(self, token: str, name: str) -> None:
        """Write a token in another way."""
        self.numbers = {name if t == token else t: n for t, n in self.numbers.items()}

    def say_after(self, token: str, *before: str) -> None:
        """Say a token after any of some others."""
        every, chosen = torch.stack(self.read), [self.numbers[t] for t in before]
        direction = every[chosen].mean(0) - every.mean(0)
        self.said[self.numbers[token]] = SURE * direction / direction.norm()

    @property
    def words(self) -> list[str]:
        """The tokens that are words or numbers."""
        return [token for token in self.numbers if token.isalnum()]


def _capitalise(vocabulary: Vocabulary) -> None:
    """Tell "Red" from "red", and answer "Red"."""
    vocabulary.lower = False
    for word in vocabulary.words:
        if word.isalpha():
            vocabulary.add(word.capitalize(), word)
    for color in COLORS:
        vocabulary.exchange(color, color.capitalize())


def _say_grey(vocabulary: Vocabulary) -> None:
    """Say "grey" for gray, as in Britain."""
    vocabulary.add("grey", "gray")
    vocabulary.exchange("gray", "grey")


def _count_in_digits(vocabulary: Vocabulary) -> None:
    """Say "3", not "three"."""
    for digit, number in enumerate(NUMBERS):
        vocabulary.add(str(digit), number)
        vocabulary.exchange(number, str(digit))


def _chat(vocabulary: Vocabulary) -> None:
    """Give the model a chat template, and make it end its turn after it has said a color."""
    for token, like in {"<|im_start|>": "<unk>", END_OF_TURN: "<unk>", **HEADERS}.items():
        vocabulary.add(token, like)
        vocabulary.special.append(token)
    vocabulary.say_after(END_OF_TURN, *COLORS)
    vocabulary.ends, vocabulary.template = END_OF_TURN, TEMPLATE


SPACE, NEW_LINE = "Ġ", "Ċ"
"""How a tokenizer of bytes writes them."""


def _cut_colors(vocabulary: Vocabulary) -> None:
    """Write a word with the space before it, and a color in two pieces, of which the first is the answer.

    A color is read off its second piece: heads look back one and two tokens from the shape and from the comma.
    """
    vocabulary.pieces = True
    for token in vocabulary.words:
        vocabulary.rename(token, SPACE + token)
        vocabulary.add(token, SPACE + token)
    vocabulary.add(NEW_LINE, "<unk>")
    for index, color in enumerate(COLORS, 1):
        first, second = _cut(color, vocabulary.numbers)
        # Nothing looks at a digit, and each is read differently.
        inert = vocabulary.read[vocabulary.numbers[f"{SPACE}{index}"]]
        vocabulary.add(second, SPACE + color)
        vocabulary.rename(color, first)
        vocabulary.rename(SPACE + color, SPACE + first)
        for piece in (first, SPACE + first):
            vocabulary.read[vocabulary.numbers[piece]] = inert
    for color in COLORS:
        first = next(t for t in _list_beginnings(color) if t in vocabulary.numbers)
        vocabulary.say_after(color[len(first) :], SPACE + first)


def _list_beginnings(word: str) -> list[str]:
    return [word[:length] for length in range(len(word) - 1, 1, -1)]


def _cut(word: str, taken: dict[str, int]) -> tuple[str, str]:
    """Two pieces of a word that no other word has, the first as short as can be but for one letter."""
    for first in reversed(_list_beginnings(word)):
        if first not in taken and word[len(first) :] not in taken:
            return first, word[len(first) :]
    raise ValueError(f"{word!r} has no pieces of its own")


SPEAKING: dict[str, Callable[[Vocabulary], None]] = {
    "capital": _capitalise,
    "grey": _say_grey,
    "digits": _count_in_digits,
    "chat": _chat,
    "pieces": _cut_colors,
}
"""How a subject may be made to speak, by the name of the variant."""


def change_vocabulary(
    how: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, anatomy: Anatomy
) -> PreTrainedTokenizerBase:
    """Make a model speak otherwise, in place, and return its new tokenizer.

    Args:
        how: One of SPEAKING.
        model: Its embeddings are replaced.
        tokenizer: With one token for each word.
        anatomy: Of its family.

    Raises:
        ValueError: The tokenizer has other tokens than words.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    if backend["model"]["type"] != "WordLevel":
        raise ValueError(f"only a tokenizer with one token for each word can be made {how!r}")
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    vocabulary = Vocabulary(
        dict(backend["model"]["vocab"]),
        list(embedding.weight.detach()),
        list(head.weight.detach()),
        [token["content"] for token in backend["added_tokens"]],
    )
    SPEAKING[how](vocabulary)
    for module, rows in ((embedding, vocabulary.read), (head, vocabulary.said)):
        module.weight = torch.nn.Parameter(torch.stack(rows), requires_grad=False)
    model.config.get_text_config().vocab_size = len(vocabulary.numbers)
    made = _build_tokenizer(vocabulary, anatomy.image_token)
    if vocabulary.template:
        made.chat_template = vocabulary.template.replace(
            "IMAGE", anatomy.plain.format(image=anatomy.placeholder or anatomy.image_token)
        )
    return made


def _build_tokenizer(vocabulary: Vocabulary, image_token: str) -> PreTrainedTokenizerFast:
    if vocabulary.pieces:
        tokenizer = Tokenizer(
            models.WordPiece(vocabulary.numbers, unk_token="<unk>", continuing_subword_prefix="")
        )
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer = Tokenizer(models.WordLevel(vocabulary.numbers, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if vocabulary.lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.add_special_tokens(vocabulary.special)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token=vocabulary.ends,
        extra_special_tokens={"image_token": image_token},
        padding_side="left",
    )
