"""What a tiny checkpoint is made of: a model with random weights and what it reads with.

Sizes are such that every path is taken: fewer key heads than query heads, sliding windows shorter than a
prompt, norms of queries and keys, several tiles of an image, latents instead of patches.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from harness.training.architectures import CANVAS, INITIAL

WIDTH, LAYERS, HEADS, KEY_HEADS, PATCH = 32, 4, 4, 2, 14
WINDOW = 12
VISION: dict[str, Any] = dict(
    hidden_size=24,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    image_size=CANVAS // 2,
    patch_size=PATCH,
)


@dataclass(frozen=True)
class Checkpoint:
    """A model with random weights, what it reads with, and the file in which its chat template is."""

    model: PreTrainedModel
    tokenizer: Any
    image_processor: Any
    template: str
    kept_in: str = "chat_template.jinja"

    def save(self, folder: Path) -> None:
        """All files as on the hub; repositories keep the template in one of three places."""
        transformers_logging.disable_progress_bar()
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        if self.kept_in.endswith(".json"):
            content = json.dumps({"chat_template": self.template})
            (folder / self.kept_in).write_text(content)
        else:
            (folder / self.kept_in).write_text(self.template)


def text_sizes(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return dict(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=512,
        initializer_range=4 * INITIAL,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=False,
        **more,
    )
