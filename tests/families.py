"""Tiny untrained checkpoints of every family, each of its real classes, its tokenizer's included.

Sizes and files are those of `checkpoint`, words those of `vocabularies`, chat templates those of `chats`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import chats
import torch
import vocabularies
from checkpoint import PATCH, VISION, WIDTH, WINDOW, Checkpoint, text_sizes
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    InternVLConfig,
    InternVLForConditionalGeneration,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from harness.machine.placement import count_threads
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry
from harness.subjects.subject import Subject
from harness.training.architectures import CANVAS, INITIAL

VISUAL = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")


def _qwen_tokens(tokenizer: Any) -> dict[str, int]:
    names = ("vision_start_token_id", "image_token_id", "vision_end_token_id", "video_token_id")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(list(VISUAL)), strict=True))


def _qwen_processor() -> Qwen2VLImageProcessorPil:
    return Qwen2VLImageProcessorPil(
        patch_size=PATCH // 2,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": PATCH * PATCH, "longest_edge": CANVAS * CANVAS},
    )


def _m_rope(**more: Any) -> dict[str, Any]:
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    return {"rope_parameters": rope | more}


def _llava() -> Checkpoint:
    tokenizer = vocabularies.llama(["<image>"])
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION | dict(image_size=CANVAS)),
        text_config=dict(model_type="llama", **text_sizes(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )
    size = {"height": CANVAS, "width": CANVAS}
    processor = CLIPImageProcessorPil(size=size, crop_size=size)
    model = LlavaForConditionalGeneration(config)
    return Checkpoint(model, tokenizer, processor, chats.VICUNA, "chat_template.json")


def _qwen2_vl() -> Checkpoint:
    tokenizer = vocabularies.qwen(VISUAL)
    config = Qwen2VLConfig(
        vision_config=dict(
            depth=1,
            embed_dim=24,
            hidden_size=WIDTH,
            mlp_ratio=2,
            num_heads=2,
            patch_size=PATCH // 2,
            spatial_merge_size=2,
            initializer_range=4 * INITIAL,
        ),
        text_config=text_sizes(tokenizer, **_m_rope()),
        **_qwen_tokens(tokenizer),
    )
    return Checkpoint(
        Qwen2VLForConditionalGeneration(config), tokenizer, _qwen_processor(), chats.QWEN
    )


def _qwen2_5_vl() -> Checkpoint:
    tokenizer = vocabularies.qwen(VISUAL)
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
        text_config=text_sizes(
            tokenizer,
            use_sliding_window=True,
            sliding_window=WINDOW,
            max_window_layers=2,
            **_m_rope(),
        ),
        **_qwen_tokens(tokenizer),
    )
    return Checkpoint(
        Qwen2_5_VLForConditionalGeneration(config), tokenizer, _qwen_processor(), chats.QWEN
    )


def _qwen3_vl() -> Checkpoint:
    """Two vision layers' features are added after the first two decoder layers."""
    tokenizer = vocabularies.qwen(VISUAL)
    config = Qwen3VLConfig(
        vision_config=dict(
            depth=3,
            hidden_size=24,
            intermediate_size=32,
            out_hidden_size=WIDTH,
            num_heads=2,
            patch_size=PATCH // 2,
            spatial_merge_size=2,
            num_position_embeddings=16,
            deepstack_visual_indexes=[0, 1],
            initializer_range=4 * INITIAL,
        ),
        text_config=text_sizes(tokenizer, head_dim=8, **_m_rope(mrope_interleaved=True)),
        **_qwen_tokens(tokenizer),
    )
    return Checkpoint(
        Qwen3VLForConditionalGeneration(config), tokenizer, _qwen_processor(), chats.QWEN
    )


def _llava_onevision() -> Checkpoint:
    """An image of four tiles and one small one of the whole, with a newline token after each row."""
    tokenizer = vocabularies.qwen(["<image>", "<video>"])
    side = VISION["image_size"]
    pinpoints = [[side, side], [2 * side, 2 * side]]
    config = LlavaOnevisionConfig(
        vision_config=dict(model_type="siglip_vision_model", vision_use_head=False, **VISION),
        text_config=dict(model_type="qwen2", **text_sizes(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
    )
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side}, image_grid_pinpoints=pinpoints
    )
    model = LlavaOnevisionForConditionalGeneration(config)
    return Checkpoint(model, tokenizer, processor, chats.ONEVISION)


def _idefics2() -> Checkpoint:
    tokenizer = vocabularies.llama(["<image>", "<fake_token_around_image>", "<end_of_utterance>"])
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
        text_config=dict(model_type="mistral", sliding_window=WINDOW, **text_sizes(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = Idefics2ImageProcessorPil(size={"shortest_edge": CANVAS, "longest_edge": CANVAS})
    model = Idefics2ForConditionalGeneration(config)
    return Checkpoint(model, tokenizer, processor, chats.IDEFICS, "processor_config.json")


def _gemma3() -> Checkpoint:
    tokenizer = vocabularies.gemma(["<image_soft_token>", "<start_of_image>", "<end_of_image>"])
    text = text_sizes(tokenizer, head_dim=8, query_pre_attn_scalar=5, sliding_window=WINDOW)
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
    return Checkpoint(model, tokenizer, processor, chats.GEMMA)


def _internvl() -> Checkpoint:
    """A quarter as many image tokens as patches; an image of one tile."""
    tokenizer = vocabularies.qwen(["<img>", "<IMG_CONTEXT>", "</img>"])
    config = InternVLConfig(
        vision_config=VISION | dict(image_size=CANVAS),
        text_config=dict(model_type="qwen2", **text_sizes(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=(CANVAS // PATCH // 2) ** 2,
        tie_word_embeddings=False,
    )
    processor = GotOcr2ImageProcessorPil(size={"height": CANVAS, "width": CANVAS})
    model = InternVLForConditionalGeneration(config)
    return Checkpoint(model, tokenizer, processor, chats.INTERNVL)


def _smolvlm() -> Checkpoint:
    """An image of four tiles, each of which says where it is, and the whole."""
    cells = [f"<row_{r}_col_{c}>" for r in (1, 2) for c in (1, 2)]
    tokenizer = vocabularies.gpt2(["<image>", "<fake_token_around_image>", "<global-img>", *cells])
    config = SmolVLMConfig(
        vision_config=dict(**VISION),
        text_config=dict(model_type="llama", **text_sizes(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=2,
        tie_word_embeddings=False,
    )
    side = VISION["image_size"]
    processor = SmolVLMImageProcessorPil(
        size={"longest_edge": 2 * side}, max_image_size={"longest_edge": side}
    )
    model = SmolVLMForConditionalGeneration(config)
    return Checkpoint(model, tokenizer, processor, chats.SMOLVLM)


def _pixtral() -> Checkpoint:
    """Rows of patches that end in a word, two directions of rotary positions in the vision tower."""
    tokenizer = vocabularies.tekken(["[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    config = LlavaConfig(
        vision_config=dict(model_type="pixtral", head_dim=12, **VISION | dict(image_size=CANVAS)),
        text_config=dict(model_type="mistral", sliding_window=None, **text_sizes(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    processor = PixtralImageProcessorPil(
        size={"longest_edge": CANVAS}, patch_size={"height": PATCH, "width": PATCH}
    )
    return Checkpoint(LlavaForConditionalGeneration(config), tokenizer, processor, chats.PIXTRAL)


FAMILIES: dict[str, Callable[[], Checkpoint]] = {
    "llava": _llava,
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "llava_onevision": _llava_onevision,
    "idefics2": _idefics2,
    "gemma3": _gemma3,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
    "smolvlm": _smolvlm,
    "pixtral": _pixtral,
}
"""One builder per family of `harness.subjects.anatomy`."""


def loaded(folder: Path, dtype: str | None = None, **how: str) -> Subject:
    """The subject in a folder, asked plainly whatever template it has, on the CPU; in its own dtype if None."""
    torch.set_num_threads(count_threads())
    entry = replace(find(str(folder), read_registry()), arrangement="plain")
    return load(replace(entry, dtype=dtype or entry.dtype), **how)
