"""How one image stands in a prompt: its tokens, what is written between them, and whether they are a grid.

Texts are those that the family's processor of transformers 5.23 writes; they are written here since a
processor is not always to be had (some need torchvision for images alone) and never says where a row ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Grid = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """One image in the prompt.

    Attributes:
        text: All that is written for it: image tokens, and what stands around and between them.
        tokens: How many image tokens are in the text.
        grid: (rows, columns) of the patches that the image tokens are, row by row; None where they are no
            such map: resampled latents, tiles, rows that end in a token of the image.
    """

    text: str
    tokens: int
    grid: Grid | None = None

    @classmethod
    def of_grid(cls, token: str, rows: int, columns: int) -> Layout:
        """Patches row by row with nothing between them."""
        return cls(token * (rows * columns), rows * columns, (rows, columns))


Layouts = Callable[[str, Any, Any, Sequence["torch.Tensor"]], list[Layout]]
"""Of a family: image token, model configuration, what the image processor gave and the features [S, d] of each
image -> the layout of each image."""


def llava(token: str, config: Any, _: Any, features: Sequence[torch.Tensor]) -> list[Layout]:
    """All patches of an image of one size."""
    side = config.vision_config.image_size // config.vision_config.patch_size
    return [Layout.of_grid(token, side, side)] * len(features)


def gemma(token: str, config: Any, _: Any, features: Sequence[torch.Tensor]) -> list[Layout]:
    """Patches pooled to a square of the size that the configuration names."""
    side = math.isqrt(config.mm_tokens_per_image)
    text = f"\n\n<start_of_image>{token * side**2}<end_of_image>\n\n"
    return [Layout(text, side**2, (side, side))] * len(features)


def qwen(token: str, config: Any, processed: Any, _: Sequence[torch.Tensor]) -> list[Layout]:
    """Patches merged two by two, as many as the image has."""
    merge = config.vision_config.spatial_merge_size
    return [
        Layout.of_grid(token, int(h) // merge, int(w) // merge)
        for _, h, w in processed["image_grid_thw"]
    ]


def newlines(token: str, _: Any, __: Any, features: Sequence[torch.Tensor]) -> list[Layout]:
    """A small image of the whole and tiles whose rows end in an image token of their own."""
    return [Layout(token * len(f), len(f)) for f in features]


def latents(token: str, config: Any, _: Any, features: Sequence[torch.Tensor]) -> list[Layout]:
    """Resampled latents, the same number for the image and for each of its quarters, if it is cut."""
    each, around = config.perceiver_config.resampler_n_latents, "<fake_token_around_image>"
    return [Layout(around + (token * each + around) * (len(f) // each), len(f)) for f in features]


def internvl(token: str, config: Any, _: Any, features: Sequence[torch.Tensor]) -> list[Layout]:
    """Patches shuffled to a quarter: a grid for one tile, none for several and their thumbnail."""
    each = config.image_seq_length
    side = math.isqrt(each)
    return [
        Layout(f"<img>{token * len(f)}</img>", len(f), (side, side) if len(f) == each else None)
        for f in features
    ]


def smolvlm(
    token: str, config: Any, processed: Any, features: Sequence[torch.Tensor]
) -> list[Layout]:
    """Tiles that say their row and column, then the whole; a grid where there is only the whole."""
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


def pixtral(token: str, config: Any, processed: Any, _: Sequence[torch.Tensor]) -> list[Layout]:
    """Patches in rows; a word, which is not of the image, ends each row, and another one the last."""
    patch = config.vision_config.patch_size
    made = []
    for height, width in processed["image_sizes"]:
        rows, columns = int(height) // patch, int(width) // patch
        text = "[IMG_BREAK]".join([token * columns] * rows) + "[IMG_END]"
        made.append(Layout(text, rows * columns, (rows, columns)))
    return made
