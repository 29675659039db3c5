"""Where things live in each family: one row per architecture, checked against the model on loading.

Paths are those of transformers 5.23, in which every family here has the text model under `model` and the
vocabulary projection at the top. Per-head values are the input of `o_proj`, cut into heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.subjects import layout
from harness.subjects.layout import Grid, Layouts

if TYPE_CHECKING:
    import torch


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
        plain: What is put before the prompt in the plain arrangement; `{image}` stands for the layout's text.
        image_inputs: What the image processor gives, as the vision tower takes it.
        layouts: How images stand in the prompt.
        position_ids: Position of every token from model, ids [B, T], mask [B, T] and grids.
        placeholder: What the family's chat template writes for an image; the image token if empty.
        spaced: A word that stands right after the image is written with a space before it.
        images_nested: The image processor takes one list of images per prompt, not one image.
        asked: What else the image processor is asked for.
        token_types: Name under which the model wants to know which tokens [B, T] are of the image, if it does.
        position_types: Name of token types from which the model finds positions itself, given ids and pixels.
        deepstack: Features of early vision layers are added after the first decoder layers.
        one_size: The vision tower takes images of `config.vision_config.image_size` and no others.
        tower: `config.vision_config.model_type`, where that and not the model type tells families apart.
    """

    family: str
    model_type: str
    architecture: str
    layers: str
    image_token: str
    plain: str
    image_inputs: tuple[str, ...]
    layouts: Layouts
    position_ids: Callable[[Any, torch.Tensor, torch.Tensor, list[Grid | None]], torch.Tensor]
    placeholder: str = ""
    spaced: bool = False
    images_nested: bool = False
    asked: tuple[str, ...] = ()
    token_types: str | None = None
    position_types: str | None = None
    deepstack: bool = False
    tower: str | None = None
    one_size: bool = False


def _counted(
    _model: Any, _ids: torch.Tensor, mask: torch.Tensor, _grids: list[Grid | None]
) -> torch.Tensor:
    """Positions that count tokens and start after the padding, int64 [B, T]."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _m_rope(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, grids: list[Grid | None]
) -> torch.Tensor:
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
        layouts=layout.llava,
        position_ids=_counted,
        one_size=True,
    ),
    "qwen2_vl": Anatomy(
        family="qwen2_vl",
        model_type="qwen2_vl",
        architecture="Qwen2VLForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<|image_pad|>",
        plain="<|vision_start|>{image}<|vision_end|>",
        image_inputs=("pixel_values", "image_grid_thw"),
        layouts=layout.qwen,
        position_ids=_m_rope,
        position_types="mm_token_type_ids",
    ),
    "qwen2_5_vl": Anatomy(
        family="qwen2_5_vl",
        model_type="qwen2_5_vl",
        architecture="Qwen2_5_VLForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<|image_pad|>",
        plain="<|vision_start|>{image}<|vision_end|>",
        image_inputs=("pixel_values", "image_grid_thw"),
        layouts=layout.qwen,
        position_ids=_m_rope,
        position_types="mm_token_type_ids",
    ),
    "llava_onevision": Anatomy(
        family="llava_onevision",
        model_type="llava_onevision",
        architecture="LlavaOnevisionForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<image>",
        plain="{image}\n",
        image_inputs=("pixel_values", "image_sizes"),
        layouts=layout.newlines,
        position_ids=_counted,
        one_size=True,
    ),
    "idefics2": Anatomy(
        family="idefics2",
        model_type="idefics2",
        architecture="Idefics2ForConditionalGeneration",
        layers="model.text_model.layers",
        image_token="<image>",
        plain="{image}",
        image_inputs=("pixel_values", "pixel_attention_mask"),
        layouts=layout.latents,
        position_ids=_counted,
        # As its processor does: otherwise the word after the image would be cut into other pieces.
        spaced=True,
        images_nested=True,
    ),
    "gemma3": Anatomy(
        family="gemma3",
        model_type="gemma3",
        architecture="Gemma3ForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<image_soft_token>",
        plain="{image}",
        image_inputs=("pixel_values",),
        layouts=layout.gemma,
        position_ids=_counted,
        one_size=True,
        placeholder="<start_of_image>",
        # Without them image tokens would look back only, like words.
        token_types="token_type_ids",
    ),
    "qwen3_vl": Anatomy(
        family="qwen3_vl",
        model_type="qwen3_vl",
        architecture="Qwen3VLForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<|image_pad|>",
        plain="<|vision_start|>{image}<|vision_end|>",
        image_inputs=("pixel_values", "image_grid_thw"),
        layouts=layout.qwen,
        position_ids=_m_rope,
        position_types="mm_token_type_ids",
        deepstack=True,
    ),
    "internvl": Anatomy(
        family="internvl",
        model_type="internvl",
        architecture="InternVLForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<IMG_CONTEXT>",
        plain="{image}\n",
        image_inputs=("pixel_values",),
        layouts=layout.internvl,
        position_ids=_counted,
        one_size=True,
        asked=("crop_to_patches",),
    ),
    "smolvlm": Anatomy(
        family="smolvlm",
        model_type="smolvlm",
        architecture="SmolVLMForConditionalGeneration",
        layers="model.text_model.layers",
        image_token="<image>",
        plain="{image}",
        image_inputs=("pixel_values", "pixel_attention_mask"),
        layouts=layout.smolvlm,
        position_ids=_counted,
        one_size=True,
        images_nested=True,
        asked=("return_row_col_info",),
    ),
    "pixtral": Anatomy(
        family="pixtral",
        model_type="llava",
        architecture="LlavaForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="[IMG]",
        plain="{image}",
        image_inputs=("pixel_values", "image_sizes"),
        layouts=layout.pixtral,
        position_ids=_counted,
        tower="pixtral",
    ),
}

MARKERS: dict[str, str] = {
    "llava": "llava",
    "llava_onevision": "llava",
    "qwen2_vl": "qwen",
    "qwen2_5_vl": "qwen",
    "qwen3_vl": "qwen",
    "idefics2": "idefics",
    "gemma3": "gemma",
    "internvl": "internvl",
    "smolvlm": "smolvlm",
    "pixtral": "pixtral",
}
"""Family to the pytest marker under which people know it."""


def anatomy_of(config: Any, where: str) -> Anatomy:
    """The anatomy for a model configuration.

    Raises:
        NoAnatomy: None fits; the message names what does.
    """
    tower = getattr(getattr(config, "vision_config", None), "model_type", None)
    return anatomy_for(config.model_type, tower, where)


def anatomy_for(model_type: str | None, tower: str | None, where: str) -> Anatomy:
    """The anatomy for a model type and the type of its vision tower; raises as `anatomy_of` does."""
    fitting = [a for a in ANATOMIES.values() if a.model_type == model_type]
    # One architecture with another tower can be another family: rows of Pixtral end in words.
    for anatomy in (*(a for a in fitting if a.tower), *(a for a in fitting if not a.tower)):
        if anatomy.tower in (tower, None):
            return anatomy
    known = ", ".join(f"{a.family} ({a.architecture})" for a in ANATOMIES.values())
    raise NoAnatomy(
        f"{where}: model type {model_type!r} has no anatomy; known families: {known}. "
        "A new family is one row in harness/subjects/anatomy.py."
    )
