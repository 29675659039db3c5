"""How one image is written in a prompt: its tokens, the text between them, and whether they form a grid.

The texts are those that each family's processor of transformers 5.23 writes. They are written here since not
every processor can be loaded (some need torchvision for images alone) and none says where a row ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import BatchFeature, PreTrainedConfig

PatchGrid = tuple[int, int]
"""Rows and columns of image tokens."""


@dataclass(frozen=True)
class Layout:
    """The text of one image in the prompt.

    Attributes:
        text: Everything written for the image: its tokens, and what stands around and between them.
        tokens: How many image tokens are in the text.
        grid: (rows, columns) of the image tokens where each is one patch, row by row; None where they are
            not: resampled latents, tiles, rows that end in an image token of their own.
    """

    text: str
    tokens: int
    grid: PatchGrid | None = None

    @classmethod
    def of_grid(cls, token: str, rows: int, columns: int) -> Layout:
        """The layout of patches row by row with nothing between them."""
        return cls(token * (rows * columns), rows * columns, (rows, columns))


LayoutFunction = Callable[
    [str, "PreTrainedConfig", "BatchFeature", Sequence["torch.Tensor"]], list[Layout]
]
"""A family's function from the image token, the model configuration, the image processor's output and the
features [S, d] of each image to the layout of each image."""


def llava(
    token: str, config: PreTrainedConfig, _: BatchFeature, features: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out all patches of images that have one size."""
    side = config.vision_config.image_size // config.vision_config.patch_size
    return [Layout.of_grid(token, side, side)] * len(features)


def gemma(
    token: str, config: PreTrainedConfig, _: BatchFeature, features: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out patches pooled to a square of the size that the configuration names."""
    side = math.isqrt(config.mm_tokens_per_image)
    text = f"\n\n<start_of_image>{token * side**2}<end_of_image>\n\n"
    return [Layout(text, side**2, (side, side))] * len(features)


def qwen(
    token: str, config: PreTrainedConfig, processed: BatchFeature, _: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out patches merged two by two, as many as the image has."""
    merge = config.vision_config.spatial_merge_size
    return [
        Layout.of_grid(token, int(h) // merge, int(w) // merge)
        for _, h, w in processed["image_grid_thw"]
    ]


def llava_onevision(
    token: str, _: PreTrainedConfig, __: BatchFeature, features: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out a small image of the whole, and tiles whose rows end in an image token of their own."""
    return [Layout(token * len(f), len(f)) for f in features]


def idefics2(
    token: str, config: PreTrainedConfig, _: BatchFeature, features: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out resampled latents, the same number for the image and for each quarter if it is cut."""
    each, around = config.perceiver_config.resampler_n_latents, "<fake_token_around_image>"
    return [Layout(around + (token * each + around) * (len(f) // each), len(f)) for f in features]


def internvl(
    token: str, config: PreTrainedConfig, _: BatchFeature, features: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out patches merged to a quarter: a grid for one tile, none for several with their thumbnail."""
    each = config.image_seq_length
    side = math.isqrt(each)
    return [
        Layout(f"<img>{token * len(f)}</img>", len(f), (side, side) if len(f) == each else None)
        for f in features
    ]


def smolvlm(
    token: str, config: PreTrainedConfig, processed: BatchFeature, features: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out tiles with their row and column, then the whole image; a grid if there is only the whole."""
    vision, around = config.vision_config, "<fake_token_around_image>"
    side = vision.image_size // vision.patch_size // config.scale_factor
    whole = f"{around}<global-img>{token * side**2}{around}"
    made = []
    for rows, columns, found in zip(processed["rows"], processed["cols"], features, strict=True):
        cut = [
            "".join(
                f"{around}<row_{r + 1}_col_{c + 1}>{token * side**2}"
                for c in range(int(columns[0]))
            )
            for r in range(int(rows[0]))
        ]
        text = "\n".join([*cut, "", whole]) if cut else whole
        made.append(Layout(text, len(found), None if cut else (side, side)))
    return made


def pixtral(
    token: str, config: PreTrainedConfig, processed: BatchFeature, _: Sequence[torch.Tensor]
) -> list[Layout]:
    """Lay out patches in rows; a word that is no image token ends each row, and another one the last."""
    patch = config.vision_config.patch_size
    made = []
    for height, width in processed["image_sizes"]:
        rows, columns = int(height) // patch, int(width) // patch
        text = "[IMG_BREAK]".join([token * columns] * rows) + "[IMG_END]"
        made.append(Layout(text, rows * columns, (rows, columns)))
    return made
