"""Small vocabularies for the families' own tokenizer classes, learned from the words of the prompts.

Rare words are left out of what is learned, so that mentions have several pieces, as with real vocabularies.
Needs no sentencepiece: since transformers 5 these classes are built from vocabulary and merges.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    GemmaTokenizer,
    GPT2Tokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
)

from harness.stimuli.scene import COLORS
from harness.training.vocabulary import words

SPLIT = {"umbrella", "triangle", "plane"}


@cache
def _learned(kind: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of "bytes" (GPT-2's and Qwen's way) or of "pieces" (Llama's and Gemma's)."""
    known = [w for w in words() if w not in SPLIT]
    # Colors also without a space before them: an answer may be the first word of a turn.
    text = [f" {w}" for w in known] + [*COLORS, "In", "The", "Answer", "User", "Assistant"]
    # As published vocabularies have them; not in capital letters throughout.
    for word in ("grey", *COLORS):
        text += [f" {word}", word, f" {word.capitalize()}", word.capitalize()]
    tokenizer = Tokenizer(BPE())
    alphabet: list[str] = []
    if kind == "bytes":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trainer = BpeTrainer(
        vocab_size=1200, min_frequency=1, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(text, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def _pieces(first: Sequence[str]) -> dict[str, Any]:
    """Special tokens, the 256 bytes that unknown letters fall back to, then what was learned."""
    learned, merges = _learned("pieces")
    names = dict.fromkeys([*first, *(f"<0x{i:02X}>" for i in range(256)), "\n", *learned])
    return {"vocab": {name: i for i, name in enumerate(names)}, "merges": list(merges)}


def _bytes() -> dict[str, Any]:
    vocabulary, merges = _learned("bytes")
    return {"vocab": dict(vocabulary), "merges": list(merges)}


def qwen(special: Sequence[str]) -> Any:
    """Of Qwen2-VL to Qwen3-VL, LLaVA-OneVision and InternVL3: no token begins a text."""
    tokenizer = Qwen2Tokenizer(**_bytes(), eos_token="<|im_end|>")
    return _with(tokenizer, ["<|im_start|>", *special])


def llama(special: Sequence[str]) -> Any:
    """Of LLaVA-1.5 and Idefics2: a token begins every text, and so does a space."""
    pieces = _pieces(["<unk>", "<s>", "</s>"])
    tokenizer = LlamaTokenizer(**pieces, pad_token="<unk>", add_bos_token=True)
    return _with(tokenizer, special)


def gemma(special: Sequence[str]) -> Any:
    """Of Gemma 3: a token begins every text, no space does."""
    first = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = GemmaTokenizer(**_pieces(first), add_bos_token=True)
    return _with(tokenizer, [*first[-2:], *special])


def gpt2(special: Sequence[str]) -> Any:
    """Of SmolVLM."""
    tokenizer = GPT2Tokenizer(
        **_bytes(), bos_token="<|im_start|>", eos_token="<end_of_utterance>", pad_token="<pad>"
    )
    return _with(tokenizer, special)


def tekken(special: Sequence[str]) -> Any:
    """Of Pixtral, whose checkpoints name no class but the general one."""
    vocabulary, merges = _learned("bytes")
    tokenizer = Tokenizer(BPE(vocab=dict(vocabulary), merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>", "<pad>"])
    begins = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[begins]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    )
    return _with(fast, special)


def _with(tokenizer: Any, special: Sequence[str]) -> Any:
    tokenizer.add_special_tokens({"extra_special_tokens": list(special)})
    tokenizer.padding_side = "left"
    return tokenizer
