"""The word-level tokenizer of the embedded subjects."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from harness.stimuli import prompt as prompts
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, SHAPES, Object, Scene

SPECIAL = (
    "<pad>",
    "<unk>",
    "<image>",
    "<|vision_start|>",
    "<|image_pad|>",
    "<|vision_end|>",
    "<|video_pad|>",
)


def words() -> list[str]:
    """Every word of every prompt that a task can draw, in an order that does not depend on chance."""
    grid = EMBEDDED_GRIDS[3]
    named = [Object(c, s) for c, s in zip(COLORS, SHAPES, strict=True)]
    scene = Scene(grid, tuple(named), grid.cells)
    two = EMBEDDED_GRIDS[2]
    pair = Scene(two, tuple(named[:2]), two.cells[:2])
    texts = [
        prompts.scene_description(named[1:], named[0]),
        prompts.color_question("circle", "red"),
        prompts.grounded_caption(scene, range(9)),
        prompts.grounded_caption(pair, range(2)),
        prompts.numbered_list(named, 0),
        *(prompts.count_question(n) for n in range(10)),
        *(prompts.spatial_question(r, named[0], "red") for r in prompts.RELATIONS),
        *(prompts.line_question(r, named[0], named[1]) for r in prompts.RELATIONS),
    ]
    text = " ".join(p.text + p.completion for p in texts).lower()
    return sorted(set(re.findall(r"\w+|[^\w\s]+", text)))


def build_tokenizer(image_token: str, more: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A tokenizer in which every word is one token; case is folded, punctuation stands alone.

    Args:
        image_token: The token that stands for an image.
        more: Further special tokens, of families that no embedded subject has.
    """
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *words(), *more])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([*SPECIAL, *more])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": image_token},
        padding_side="left",
    )
