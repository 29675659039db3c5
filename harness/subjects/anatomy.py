"""Where layers, heads and image tokens are in each family: one row per architecture, checked on loading.

Paths are those of transformers 5.23, in which every family here has the text model under `model` and the
vocabulary projection at the top. Per-head values are the input of `o_proj`, cut into heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.subjects import layout
from harness.subjects.layout import LayoutFunction, PatchGrid

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel


class NoAnatomy(ValueError):
    """The architecture is not one of the families that the suite knows."""


@dataclass(frozen=True)
class Anatomy:
    """Where one family has its layers and image tokens, and what its processor and model are given.

    Attributes:
        family: Name of the family and of its pytest marker.
        model_type: `config.model_type` of its checkpoints.
        architecture: Class that `config.architectures` must name.
        layers: Path of the decoder layers from the top of the model.
        image_token: How an image token is written in the prompt.
        plain: Text before the prompt in the plain arrangement; `{image}` stands for the layout's text.
        image_inputs: Outputs of the image processor that the vision tower takes.
        layouts: Function that says how images are written in the prompt; see `LayoutFunction`.
        position_ids: Function from model, ids [B, T], mask [B, T] and grids to the position of every token.
        placeholder: What the family's chat template writes for an image; the image token if empty.
        spaced: Whether a word right after the image is written with a space before it.
        images_nested: Whether the image processor takes a list of images per prompt, not one image.
        asked: Options of the image processor that are switched on.
        token_types: Name of the input that marks image tokens [B, T]; None if the model takes no such input.
        position_types: Name of the input that marks image tokens when the model computes positions itself.
        deepstack: Whether features of early vision layers are added after the first decoder layers.
        one_size: Whether the vision tower takes only images of `config.vision_config.image_size`.
        tower: `config.vision_config.model_type`, where that and not the model type tells families apart.
        vision_layers: Path of the vision tower's layers from the top of the model.
        projector: Path of the module whose output is put in place of image tokens.
    """

    family: str
    model_type: str
    architecture: str
    layers: str
    image_token: str
    plain: str
    image_inputs: tuple[str, ...]
    layouts: LayoutFunction
    position_ids: Callable[
        [PreTrainedModel, torch.Tensor, torch.Tensor, list[PatchGrid | None]], torch.Tensor
    ]
    placeholder: str = ""
    spaced: bool = False
    images_nested: bool = False
    asked: tuple[str, ...] = ()
    token_types: str | None = None
    position_types: str | None = None
    deepstack: bool = False
    tower: str | None = None
    one_size: bool = False
    vision_layers: str = ""
    projector: str = ""


def _counted(
    _model: PreTrainedModel, _ids: torch.Tensor, mask: torch.Tensor, _grids: list[PatchGrid | None]
) -> torch.Tensor:
    """Positions that count tokens and start after the padding, int64 [B, T]."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _compute_m_rope(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, grids: list[PatchGrid | None]
) -> torch.Tensor:
    """Time, height and width of every token, int64 [3, B, T].

    The token types are always passed: without them Qwen2.5-VL silently falls back to counted positions.

    Raises:
        ValueError: An image has no grid.
    """
    import torch

    merge = model.config.vision_config.spatial_merge_size
    types = (ids == model.config.image_token_id).int()
    sizes = []
    for grid in grids:
        if grid is None:
            raise ValueError("the family's positions need images whose tokens form a grid")
        sizes.append([1, grid[0] * merge, grid[1] * merge])
    return model.model.get_rope_index(
        input_ids=ids,
        mm_token_type_ids=types,
        image_grid_thw=torch.tensor(sizes, device=ids.device),
        attention_mask=mask,
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
        vision_layers="model.vision_tower.encoder.layers",
        projector="model.multi_modal_projector",
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
        position_ids=_compute_m_rope,
        position_types="mm_token_type_ids",
        vision_layers="model.visual.blocks",
        projector="model.visual.merger",
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
        position_ids=_compute_m_rope,
        position_types="mm_token_type_ids",
        vision_layers="model.visual.blocks",
        projector="model.visual.merger",
    ),
    "llava_onevision": Anatomy(
        family="llava_onevision",
        model_type="llava_onevision",
        architecture="LlavaOnevisionForConditionalGeneration",
        layers="model.language_model.layers",
        image_token="<image>",
        plain="{image}\n",
        image_inputs=("pixel_values", "image_sizes"),
        layouts=layout.llava_onevision,
        position_ids=_counted,
        one_size=True,
        vision_layers="model.vision_tower.encoder.layers",
        projector="model.multi_modal_projector",
    ),
    "idefics2": Anatomy(
        family="idefics2",
        model_type="idefics2",
        architecture="Idefics2ForConditionalGeneration",
        layers="model.text_model.layers",
        image_token="<image>",
        plain="{image}",
        image_inputs=("pixel_values", "pixel_attention_mask"),
        layouts=layout.idefics2,
        position_ids=_counted,
        # As its processor does: otherwise the tokenizer would cut the word after the image into other pieces.
        spaced=True,
        images_nested=True,
        vision_layers="model.vision_model.encoder.layers",
        projector="model.connector",
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
        # Without them image tokens would attend only backwards, like words.
        token_types="token_type_ids",
        vision_layers="model.vision_tower.encoder.layers",
        projector="model.multi_modal_projector",
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
        position_ids=_compute_m_rope,
        position_types="mm_token_type_ids",
        deepstack=True,
        vision_layers="model.visual.blocks",
        projector="model.visual.merger",
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
        vision_layers="model.vision_tower.encoder.layer",
        projector="model.multi_modal_projector",
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
        vision_layers="model.vision_model.encoder.layers",
        projector="model.connector",
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
        vision_layers="model.vision_tower.transformer.layers",
        projector="model.multi_modal_projector",
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
"""Name of the pytest marker of each family."""


def find_anatomy(config: PreTrainedConfig, where: str) -> Anatomy:
    """The anatomy for a model configuration.

    Raises:
        NoAnatomy: No family fits; the message lists the known ones.
    """
    tower = getattr(getattr(config, "vision_config", None), "model_type", None)
    return find_anatomy_by_type(config.model_type, tower, where)


def find_anatomy_by_type(model_type: str | None, tower: str | None, where: str) -> Anatomy:
    """The anatomy for a model type and the type of its vision tower; raises as `find_anatomy` does."""
    fitting = [a for a in ANATOMIES.values() if a.model_type == model_type]
    # One architecture with another tower can be another family: Pixtral is LLaVA with rows that end in words.
    for anatomy in (*(a for a in fitting if a.tower), *(a for a in fitting if not a.tower)):
        if anatomy.tower in (tower, None):
            return anatomy
    known = ", ".join(f"{a.family} ({a.architecture})" for a in ANATOMIES.values())
    raise NoAnatomy(
        f"{where}: model type {model_type!r} has no anatomy; known families: {known}. "
        "A new family is one row in harness/subjects/anatomy.py."
    )
