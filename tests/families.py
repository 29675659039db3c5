"""Tiny untrained checkpoints of the families that no embedded subject has, each of its real classes.

Sizes are such that every path is taken: fewer key heads than query heads, sliding windows shorter than a
prompt, norms of queries and keys, several tiles of an image, latents instead of patches.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from harness.placement import threads_per_process
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.subject import Subject
from harness.training.architectures import ARCHITECTURES, CANVAS, INITIAL, Untrained
from harness.training.vocabulary import build_tokenizer

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


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
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


def _qwen2_5_vl() -> Untrained:
    tokenizer = build_tokenizer("<|image_pad|>")
    token = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        vision_config=dict(
            depth=2,
            hidden_size=24,
            intermediate_size=32,
            out_hidden_size=WIDTH,
            num_heads=2,
            patch_size=PATCH // 2,
            spatial_merge_size=2,
            window_size=4 * PATCH,
            fullatt_block_indexes=[1],
            initializer_range=4 * INITIAL,
        ),
        text_config=_text(
            tokenizer,
            use_sliding_window=True,
            sliding_window=WINDOW,
            max_window_layers=2,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
            },
        ),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    processor = Qwen2VLImageProcessorPil(
        patch_size=PATCH // 2,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": PATCH * PATCH, "longest_edge": CANVAS * CANVAS},
    )
    return Untrained(Qwen2_5_VLForConditionalGeneration(config), tokenizer, processor)


def _llava_onevision() -> Untrained:
    """An image of four tiles and one small one of the whole, with a newline token after each row."""
    tokenizer = build_tokenizer("<image>")
    side = VISION["image_size"]
    pinpoints = [[side, side], [2 * side, 2 * side]]
    config = LlavaOnevisionConfig(
        vision_config=dict(model_type="siglip_vision_model", vision_use_head=False, **VISION),
        text_config=dict(model_type="qwen2", **_text(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        image_grid_pinpoints=pinpoints,
    )
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side}, image_grid_pinpoints=pinpoints
    )
    return Untrained(LlavaOnevisionForConditionalGeneration(config), tokenizer, processor)


def _idefics2() -> Untrained:
    tokenizer = build_tokenizer("<image>", ["<fake_token_around_image>"])
    config = Idefics2Config(
        vision_config=VISION | dict(image_size=CANVAS, initializer_range=4 * INITIAL),
        perceiver_config=dict(
            hidden_size=WIDTH,
            resampler_n_latents=9,
            resampler_depth=1,
            resampler_n_heads=2,
            resampler_head_dim=8,
            num_key_value_heads=1,
            initializer_range=4 * INITIAL,
        ),
        text_config=dict(model_type="mistral", sliding_window=WINDOW, **_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = Idefics2ImageProcessorPil(size={"shortest_edge": CANVAS, "longest_edge": CANVAS})
    return Untrained(Idefics2ForConditionalGeneration(config), tokenizer, processor)


def _gemma3() -> Untrained:
    tokenizer = build_tokenizer(
        "<image_soft_token>", ["<image_soft_token>", "<start_of_image>", "<end_of_image>"]
    )
    text = _text(tokenizer, head_dim=8, query_pre_attn_scalar=5, sliding_window=WINDOW)
    config = Gemma3Config(
        vision_config=dict(model_type="siglip_vision_model", vision_use_head=False, **VISION),
        text_config=Gemma3TextConfig(sliding_window_pattern=2, **text),
        mm_tokens_per_image=4,
        image_token_id=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        initializer_range=4 * INITIAL,
    )
    model = Gemma3ForConditionalGeneration(config)
    # The family starts with a projection of zeros, through which no image is seen.
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.2)
    side = VISION["image_size"]
    processor = Gemma3ImageProcessorPil(size={"height": side, "width": side})
    return Untrained(model, tokenizer, processor)


FAMILIES: dict[str, Callable[[], Untrained]] = {
    "llava": ARCHITECTURES["tiny-llava"],
    "qwen2_vl": ARCHITECTURES["tiny-qwen2-vl"],
    "qwen2_5_vl": _qwen2_5_vl,
    "llava_onevision": _llava_onevision,
    "idefics2": _idefics2,
    "gemma3": _gemma3,
}
"""One builder per family of `harness.subjects.anatomy`."""


def loaded(folder: Path, **how: str) -> Subject:
    """The subject in a folder, on the CPU in float32."""
    torch.set_num_threads(threads_per_process())
    return load(find(str(folder), read_registry()), **how)
