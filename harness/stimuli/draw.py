"""Scenes drawn as images, so that the same scene gives the same pixels everywhere.

Pillow draws each shape once at eight times its size and averages whole boxes; nothing is random.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from harness.stimuli.glyphs import silhouette
from harness.stimuli.render import render_array
from harness.stimuli.scene import COLORS, Object, Photo, Scene

SUPERSAMPLING = 8


def draw(scene: Scene) -> Image.Image:
    """The scene as an RGB image of `scene.grid.canvas` pixels a side."""
    if isinstance(scene.setting, Photo):
        return _load_photograph(scene.setting, scene.grid.canvas)
    return Image.fromarray(draw_array(scene) if scene.setting is None else render_array(scene))


def _load_photograph(photo: Photo, side: int) -> Image.Image:
    """Read a file and fit it into a gray square, since all images of a batch must have one size."""
    with Image.open(photo.path) as image:
        fitted = ImageOps.pad(
            ImageOps.exif_transpose(image).convert("RGB"), (side, side), color=(127, 127, 127)
        )
    return ImageOps.mirror(fitted) if photo.mirrored else fitted


def draw_array(scene: Scene) -> NDArray[np.uint8]:
    """The scene as flat shapes on white, uint8 pixels [canvas, canvas, 3]."""
    pixels = np.full((scene.grid.canvas, scene.grid.canvas, 3), 255, np.uint8)
    for obj, cell in scene:
        left, top, right, bottom = scene.grid.box(cell)
        pixels[top:bottom, left:right] = sprite(obj, scene.grid.cell)
    return pixels


@lru_cache(maxsize=4096)
def sprite(obj: Object, side: int) -> NDArray[np.uint8]:
    """Draw one object on a white square of `side` pixels, uint8 [side, side, 3], read-only."""
    mask = silhouette(obj.shape, side * SUPERSAMPLING)
    cover = np.asarray(mask.reduce(SUPERSAMPLING), np.float64)[..., None] / 255
    color = np.asarray(COLORS[obj.color], np.float64)
    pixels = np.rint(255 * (1 - cover) + color * cover).astype(np.uint8)
    pixels.setflags(write=False)
    return pixels
