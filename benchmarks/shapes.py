"""Published models' shapes with random weights, for figures of speed where no checkpoint can be had.

Sizes are those of the published configurations; words are those of the embedded subjects' tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import transformers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    PreTrainedConfig,
    Qwen2VLConfig,
)
from transformers.initialization import no_init_weights
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from harness.subjects.anatomy import ANATOMIES
from harness.subjects.exact import make_exact
from harness.subjects.registry import PARTS, Entry
from harness.subjects.subject import Subject
from harness.training.vocabulary import build_tokenizer


def _qwen2_vl_7b(token: Callable[[str], int], layers: int | None) -> PreTrainedConfig:
    return _qwen2_vl(
        token,
        vision=dict(embed_dim=1280, depth=32, num_heads=16),
        text=dict(
            vocab_size=152064,
            hidden_size=3584,
            intermediate_size=18944,
            num_hidden_layers=layers or 28,
            num_attention_heads=28,
            num_key_value_heads=4,
        ),
        sections=(16, 24, 24),
    )


def _qwen2_vl_tiny(token: Callable[[str], int], layers: int | None) -> PreTrainedConfig:
    # With more words than the tokenizer has, as the published model's random answers have them.
    return _qwen2_vl(
        token,
        vision=dict(embed_dim=32, depth=2, num_heads=2),
        text=dict(
            vocab_size=512,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=layers or 2,
            num_attention_heads=4,
            num_key_value_heads=2,
        ),
        sections=(2, 3, 3),
    )


def _qwen2_vl(
    token: Callable[[str], int],
    *,
    vision: dict[str, int],
    text: dict[str, int],
    sections: tuple[int, int, int],
) -> PreTrainedConfig:
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(sections)}
    return Qwen2VLConfig(
        vision_config=dict(**vision, hidden_size=text["hidden_size"], mlp_ratio=4, patch_size=14),
        text_config=dict(**text, max_position_embeddings=32768, rope_parameters=rope),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )


def _llava_15_7b(token: Callable[[str], int], layers: int | None) -> PreTrainedConfig:
    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=24,
            num_attention_heads=16,
            image_size=336,
            patch_size=14,
            projection_dim=768,
        ),
        text_config=LlamaConfig(
            vocab_size=32064,
            hidden_size=4096,
            intermediate_size=11008,
            num_hidden_layers=layers or 32,
            num_attention_heads=32,
            num_key_value_heads=32,
            max_position_embeddings=4096,
        ),
        image_token_id=token("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


SHAPES = {"qwen2-vl-7b": "qwen2_vl", "llava-1.5-7b": "llava"}
"""Name to family."""

TINY = "qwen2-vl-tiny"
"""No published shape: Qwen2-VL's architecture with few of everything, to try a benchmark on a CPU."""


def shaped(
    name: str, *, device: str, dtype: str | torch.dtype, layers: int | None = None
) -> Subject:
    """A subject of a published shape with weights drawn where it is.

    Args:
        name: In SHAPES, or TINY.
        device: Where it is made; the weights are never on another.
        dtype: Of the weights, or a name of the registry; for exact mode they are in bfloat16.
        layers: Decoder layers, fewer than published for a short run.
    """
    anatomy = ANATOMIES[SHAPES.get(name, "qwen2_vl")]
    tokenizer = build_tokenizer(anatomy.image_token)
    if anatomy.family == "qwen2_vl":
        configure = _qwen2_vl_tiny if name == TINY else _qwen2_vl_7b
        config = configure(tokenizer.convert_tokens_to_ids, layers)
        processor = Qwen2VLImageProcessorPil()
    else:
        config = _llava_15_7b(tokenizer.convert_tokens_to_ids, layers)
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
        )
    config._attn_implementation = "sdpa"
    model_class = getattr(transformers, anatomy.architecture)
    usual = torch.get_default_dtype()
    asked = str(dtype).removeprefix("torch.")
    torch.set_default_dtype(torch.bfloat16 if asked in PARTS else getattr(torch, asked))
    try:
        with torch.device(device), no_init_weights():
            model = model_class(config)
    finally:
        torch.set_default_dtype(usual)
    generator = torch.Generator(device).manual_seed(0)
    for path, parameter in model.named_parameters():
        # Matrices as they start training; norms that change nothing; no biases.
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.02, generator=generator)
        else:
            parameter.data.fill_(0.0 if path.endswith("bias") else 1.0)
    if asked in PARTS:
        make_exact(model, PARTS[asked])
    entry = Entry(
        name=name, kind="hub", family=anatomy.family, source=name, scale="paper", dtype=asked
    )
    return Subject(
        name=name,
        entry=entry,
        anatomy=anatomy,
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        image_processor=processor,
        fingerprint=name,
    )
