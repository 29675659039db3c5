"""Untrained embedded subjects: real `transformers` architectures at a small size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BaseImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import logging as transformers_logging

from harness.stimuli.scene import EMBEDDED_GRIDS
from harness.training.vocabulary import build_tokenizer

CANVAS = EMBEDDED_GRIDS[2].canvas
TOKEN = 14
WIDTH, LAYERS, HEADS, MLP = 128, 8, 8, 256
INITIAL = 0.05
"""Spread of the initial weights: the usual 0.02 is for widths in the thousands and trains slowly here."""
VISION_WIDTH, VISION_LAYERS, VISION_HEADS = 96, 2, 4


@dataclass(frozen=True)
class Untrained:
    """A model with random weights, its tokenizer and its image processor."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    image_processor: BaseImageProcessor

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration, tokenizer and processor files, as on the hub."""
        folder.mkdir(parents=True, exist_ok=True)
        transformers_logging.disable_progress_bar()
        self.model.save_pretrained(folder, safe_serialization=True)
        if isinstance(self.model, LlavaForConditionalGeneration):
            LlavaProcessor(
                image_processor=self.image_processor,
                tokenizer=self.tokenizer,
                patch_size=TOKEN,
                vision_feature_select_strategy="default",
                num_additional_image_tokens=1,
            ).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)


def _list_text_sizes(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return dict(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=MLP,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=512,
        initializer_range=INITIAL,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=None,
    )


def tiny_llava(
    vision: Mapping[str, Any] | None = None, text: Mapping[str, Any] | None = None
) -> Untrained:
    """Build a LlavaForConditionalGeneration: CLIP tower, two-layer projector, Llama with as many keys as heads.

    Args:
        vision: Fields of CLIPVisionConfig that replace those of the embedded subject.
        text: Fields of LlamaConfig that replace those of the embedded subject.
    """
    tokenizer = build_tokenizer("<image>")
    seen = dict(
        hidden_size=VISION_WIDTH,
        intermediate_size=2 * VISION_WIDTH,
        num_hidden_layers=VISION_LAYERS,
        num_attention_heads=VISION_HEADS,
        image_size=CANVAS,
        patch_size=TOKEN,
        projection_dim=WIDTH,
    )
    sizes = _list_text_sizes(tokenizer) | dict(num_key_value_heads=HEADS)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**seen | dict(vision or {})),
        text_config=LlamaConfig(**sizes | dict(text or {})),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=(CANVAS // TOKEN) ** 2,
        tie_word_embeddings=False,
    )
    size = {"height": CANVAS, "width": CANVAS}
    processor = CLIPImageProcessorPil(size=size, crop_size=size)
    return Untrained(LlavaForConditionalGeneration(config), tokenizer, processor)


def tiny_qwen2_vl(
    vision: Mapping[str, Any] | None = None, text: Mapping[str, Any] | None = None
) -> Untrained:
    """Build a Qwen2VLForConditionalGeneration: patches merged 2x2, M-RoPE, two queries to a key head.

    Args:
        vision: Fields of the vision configuration that replace those of the embedded subject.
        text: Fields of the text configuration that replace those of the embedded subject.
    """
    tokenizer = build_tokenizer("<|image_pad|>")
    token = tokenizer.convert_tokens_to_ids
    seen = dict(
        depth=VISION_LAYERS,
        embed_dim=VISION_WIDTH,
        hidden_size=WIDTH,
        mlp_ratio=2,
        num_heads=VISION_HEADS,
        patch_size=TOKEN // 2,
        spatial_merge_size=2,
        temporal_patch_size=2,
        initializer_range=INITIAL,
    )
    sizes = dict(
        num_key_value_heads=HEADS // 2,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 3, 3],
        },
        **_list_text_sizes(tokenizer),
    )
    config = Qwen2VLConfig(
        vision_config=seen | dict(vision or {}),
        text_config=sizes | dict(text or {}),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    processor = Qwen2VLImageProcessorPil(
        patch_size=TOKEN // 2,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": TOKEN * TOKEN, "longest_edge": CANVAS * CANVAS * 4},
    )
    return Untrained(Qwen2VLForConditionalGeneration(config), tokenizer, processor)


ARCHITECTURES: dict[str, Callable[[], Untrained]] = {
    "tiny-llava": tiny_llava,
    "tiny-qwen2-vl": tiny_qwen2_vl,
}


def build(name: str, seed: int) -> Untrained:
    """Build an architecture with weights drawn from `seed`, on the CPU in float32.

    Raises:
        ValueError: There is no architecture of that name.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"no recipe for {name!r}; there is one for: {', '.join(ARCHITECTURES)}")
    torch.manual_seed(seed)
    return ARCHITECTURES[name]()
