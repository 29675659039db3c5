"""Tokenizers whose tokens have other numbers, and are cut and written as before."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


class NoTwin(ValueError):
    """The subject's architecture or tokenizer has no twin of this kind."""


def renumber(
    tokenizer: PreTrainedTokenizerBase, choose: Callable[[str, int], int]
) -> PreTrainedTokenizerBase:
    """A tokenizer whose tokens have other numbers, chosen by how a token is written and its number."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    known = backend["model"]["vocab"]
    if not isinstance(known, dict):
        raise NoTwin(f"a tokenizer of type {backend['model']['type']} cannot be renumbered")
    # A token that is only added would be numbered by its place among those that are.
    known |= {token["content"]: token["id"] for token in backend["added_tokens"]}
    numbers = {token: choose(token, number) for token, number in known.items()}
    backend["model"]["vocab"] = dict(sorted(numbers.items(), key=lambda pair: pair[1]))
    for token in backend["added_tokens"]:
        token["id"] = numbers[token["content"]]
    for written in _find_special(backend["post_processor"]):
        written["ids"] = [numbers[token] for token in written["tokens"]]
    special = tokenizer.special_tokens_map
    usual = {k: v for k, v in special.items() if k in tokenizer.SPECIAL_TOKENS_ATTRIBUTES}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(backend)),
        padding_side=tokenizer.padding_side,
        chat_template=tokenizer.chat_template,
        extra_special_tokens={k: v for k, v in special.items() if k not in usual},
        **usual,
    )


def _find_special(processor: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The tokens that a post-processor of tokenizers adds to a text, with their numbers."""
    if processor is None:
        return []
    inner = [found for each in processor.get("processors", ()) for found in _find_special(each)]
    return inner + list(processor.get("special_tokens", {}).values())
