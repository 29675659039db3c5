"""Where things live in each family: one row per architecture, checked against the model on loading.

Paths are those of transformers 5.23, in which every family here has the text model under `model` and the
vocabulary projection at the top. Per-head values are the input of `o_proj`, cut into heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Grid = tuple[int, int]


class NoAnatomy(ValueError):
    """The architecture is not one of the families that the suite knows."""


@dataclass(frozen=True)
class Anatomy:
    """The sites of one family.

    Attributes:
        family: Name of the family and of its pytest marker.
        model_type: `config.model_type` of its checkpoints.
        architecture: Class that `config.architectures` must name.
        layers: Path of the decoder layers from the top of the model.
        image_token: How an image token is written in the prompt.
        plain: What is put before the prompt in the plain arrangement; `{image}` stands for all image tokens.
        image_inputs: What the image processor gives, as the vision tower takes it.
        image_grid: (rows, columns) of image tokens for each image, from config and processor output; None
            where image tokens are no grid (resampled latents, tiles with newlines between them).
        position_ids: Position of every token from model, ids [B, T], mask [B, T] and grids.
        images_nested: The image processor takes one list of images per prompt, not one image.
        token_types: Name under which the model wants to know which tokens [B, T] are of the image, if it does.
    """

    family: str
    model_type: str
    architecture: str
    layers: str
    image_token: str
    plain: str
    image_inputs: tuple[str, ...]
    image_grid: Callable[[Any, dict[str, torch.Tensor]], list[Grid]] | None
    position_ids: Callable[[Any, torch.Tensor, torch.Tensor, list[Grid]], torch.Tensor]
    images_nested: bool = False
    token_types: str | None = None


def _llava_grid(config: Any, images: dict[str, torch.Tensor]) -> list[Grid]:
    side = config.vision_config.image_size // config.vision_config.patch_size
    return [(side, side)] * len(images["pixel_values"])


def _gemma_grid(config: Any, images: dict[str, torch.Tensor]) -> list[Grid]:
    side = math.isqrt(config.mm_tokens_per_image)
    return [(side, side)] * len(images["pixel_values"])


def _qwen_grid(config: Any, images: dict[str, torch.Tensor]) -> list[Grid]:
    merge = config.vision_config.spatial_merge_size
    return [(int(h) // merge, int(w) // merge) for _, h, w in images["image_grid_thw"]]


def _counted(
    _model: Any, _ids: torch.Tensor, mask: torch.Tensor, _grids: list[Grid]
) -> torch.Tensor:
    """Positions that count tokens and start after the padding, int64 [B, T]."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _m_rope(model: Any, ids: torch.Tensor, mask: torch.Tensor, grids: list[Grid]) -> torch.Tensor:
    """Time, height and width of every token, int64 [3, B, T].

    The token types are always passed: Qwen2.5-VL falls back to counted positions without a word if
    they are missing.
    """
    import torch

    merge = model.config.vision_config.spatial_merge_size
    types = (ids == model.config.image_token_id).int()
    sizes = torch.tensor([[1, h * merge, w * merge] for h, w in grids], device=ids.device)
    return model.model.get_rope_index(
        input_ids=ids, mm_token_type_ids=types, image_grid_thw=sizes, attention_mask=mask
    )[0]


ANATOMIES: dict[str, Anatomy] = {
    "llava": Anatomy(
        family="llava",
        model_type="llava",
        architecture="LlavaForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<image>",
        plain="{image}\n",
        image_inputs=("pixel_values",),
        image_grid=_llava_grid,
        position_ids=_counted,
    ),
    "qwen2_vl": Anatomy(
        family="qwen2_vl",
        model_type="qwen2_vl",
        architecture="Qwen2VLForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<|image_pad|>",
        plain="<|vision_start|>{image}<|vision_end|>",
        image_inputs=("pixel_values", "image_grid_thw"),
        image_grid=_qwen_grid,
        position_ids=_m_rope,
    ),
    "qwen2_5_vl": Anatomy(
        family="qwen2_5_vl",
        model_type="qwen2_5_vl",
        architecture="Qwen2_5_VLForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<|image_pad|>",
        plain="<|vision_start|>{image}<|vision_end|>",
        image_inputs=("pixel_values", "image_grid_thw"),
        image_grid=_qwen_grid,
        position_ids=_m_rope,
    ),
    "llava_onevision": Anatomy(
        family="llava_onevision",
        model_type="llava_onevision",
        architecture="LlavaOnevisionForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<image>",
        plain="{image}\n",
        image_inputs=("pixel_values", "image_sizes"),
        image_grid=None,
        position_ids=_counted,
    ),
    "idefics2": Anatomy(
        family="idefics2",
        model_type="idefics2",
        architecture="Idefics2ForConditionalGeneration",
        layers="model.text_model.layers",
        image_token="<image>",
        plain="<fake_token_around_image>{image}<fake_token_around_image>",
        image_inputs=("pixel_values", "pixel_attention_mask"),
        image_grid=None,
        position_ids=_counted,
        images_nested=True,
    ),
    "gemma3": Anatomy(
        family="gemma3",
        model_type="gemma3",
        architecture="Gemma3ForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<image_soft_token>",
        plain="\n\n<start_of_image>{image}<end_of_image>\n\n",
        image_inputs=("pixel_values",),
        image_grid=_gemma_grid,
        position_ids=_counted,
        # Without them image tokens would look back only, like words.
        token_types="token_type_ids",
    ),
}

MARKERS: dict[str, str] = {
    "llava": "llava",
    "llava_onevision": "llava",
    "qwen2_vl": "qwen",
    "qwen2_5_vl": "qwen",
    "idefics2": "idefics",
    "gemma3": "gemma",
}
"""Family to the pytest marker under which people know it."""


def anatomy_of(config: Any, where: str) -> Anatomy:
    """The anatomy for a model configuration.

    Raises:
        NoAnatomy: None fits; the message names what does.
    """
    for anatomy in ANATOMIES.values():
        if anatomy.model_type == config.model_type:
            return anatomy
    known = ", ".join(f"{a.family} ({a.architecture})" for a in ANATOMIES.values())
    raise NoAnatomy(
        f"{where}: model type {config.model_type!r} has no anatomy; known families: {known}. "
        "A new family is one row in harness/subjects/anatomy.py."
    )
