"""Solid objects on textured ground, with light and shadow, where there are no photographs.

Each silhouette becomes a solid that is turned a little, lit from one side, and set down near the middle of
its cell. Its exact place, the light and the ground differ from image to image and follow from the scene's
seed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from harness.stimuli.glyphs import silhouette
from harness.stimuli.scene import BACKDROPS, COLORS, Backdrop, Scene

SIZE = 1.3
"""Side of a solid's frame, in cells."""

JITTER = 0.18
"""How far from the middle of its cell a solid stands at most, in cells, along each axis."""

TURN = 15.0
"""Degrees that a solid is turned at most."""

SUPERSAMPLING = 3

Pixels = NDArray[np.float64]
"""float64 [rows, columns] or [rows, columns, 3], 0 to 1."""


def render_array(scene: Scene) -> NDArray[np.uint8]:
    """A scene with a backdrop as uint8 pixels [canvas, canvas, 3], the same for the same scene.

    Raises:
        ValueError: The scene has no backdrop.
    """
    setting = scene.setting
    if not isinstance(setting, Backdrop):
        raise ValueError(f"only a scene with a backdrop is rendered; its setting is {setting!r}")
    rng = np.random.default_rng([BACKDROPS.index(setting.kind), setting.seed])
    canvas = _make_ground(setting.kind, scene.grid.canvas, int(rng.integers(_GROUNDS)))
    canvas = np.rot90(canvas, int(rng.integers(4))) * rng.uniform(0.85, 1.1)
    azimuth = rng.uniform(0, 2 * np.pi)
    # In the order of the cells, since the order of listing must not change the pixels.
    for cell, obj in sorted((cell, obj) for obj, cell in scene):
        x, y = scene.grid.centre(cell)
        reach = JITTER * scene.grid.cell
        x, y = x + rng.uniform(-reach, reach), y + rng.uniform(-reach, reach)
        side = round(SIZE * scene.grid.cell * rng.uniform(0.9, 1.1))
        body = _shape_solid(obj.shape, side, round(float(rng.uniform(-TURN, TURN))))
        _set_down(canvas, *body, np.array(COLORS[obj.color]) / 255, azimuth, (x, y))
    return np.rint(255 * np.clip(canvas, 0, 1)).astype(np.uint8)


def _set_down(
    canvas: Pixels,
    cover: Pixels,
    normals: Pixels,
    color: Pixels,
    azimuth: float,
    middle: tuple[float, float],
) -> None:
    """Shade a solid and lay it and its shadow over the canvas, in place."""
    light = np.array([0.6 * np.cos(azimuth), 0.6 * np.sin(azimuth), 0.8])
    facing = np.clip(normals @ light, 0, 1)
    # Black alone would show no shade, so every surface gives a little of the light back.
    shaded = (0.06 + 0.9 * color) * (0.45 + 0.6 * facing)[..., None]
    gloss = np.clip(2 * facing * normals[..., 2] - light[2], 0, 1) ** 16
    shaded += 0.35 * gloss[..., None]
    side = len(cover)
    left, top = round(middle[0] - side / 2), round(middle[1] - side / 2)
    away = (-round(2 * light[0]), -round(2 * light[1]))
    shadow = 1 - 0.45 * ndimage.gaussian_filter(cover, side / 20)
    _blend(canvas, left + away[0], top + away[1], shadow, lambda part, s: part * s[..., None])
    mixed = np.concatenate([cover[..., None], shaded], -1)
    _blend(
        canvas, left, top, mixed, lambda part, m: part * (1 - m[..., :1]) + m[..., 1:] * m[..., :1]
    )


def _blend(
    canvas: Pixels, left: int, top: int, patch: Pixels, lay: Callable[[Pixels, Pixels], Pixels]
) -> None:
    """Combine a patch with the canvas through `lay(part of the canvas, patch)`, in place.

    What lies outside the canvas is cut off.
    """
    side, own = len(canvas), len(patch)
    rows = slice(max(0, top), min(side, top + own))
    columns = slice(max(0, left), min(side, left + own))
    inside = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas[rows, columns] = lay(canvas[rows, columns], inside)


@lru_cache(maxsize=4096)
def _shape_solid(shape: str, side: int, degrees: int) -> tuple[Pixels, Pixels]:
    """Share of each pixel that a solid covers [side, side], and the normals of its surface [side, side, 3]."""
    big = side * SUPERSAMPLING
    mask = silhouette(shape, big).rotate(degrees, Image.Resampling.BILINEAR)
    inside = np.asarray(mask) > 127
    depth = ndimage.distance_transform_edt(inside)
    # Round at the edge, flat on top: a ball has the height of a half circle.
    round_to = 0.16 * big
    near = np.clip(depth / round_to, 0, 1)
    height = ndimage.gaussian_filter(round_to * np.sqrt(near * (2 - near)), SUPERSAMPLING)
    down, right = np.gradient(height)
    normals = np.stack([-right, -down, np.ones_like(height)], -1)
    normals = normals.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING, 3).mean((1, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    cover = inside.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING).mean((1, 3))
    cover.setflags(write=False)
    normals.setflags(write=False)
    return cover, normals


_GROUNDS = 16
"""How many different grounds there are of each kind."""


@lru_cache(maxsize=256)
def _make_ground(kind: str, side: int, number: int) -> Pixels:
    rng = np.random.default_rng([BACKDROPS.index(kind), number, side])
    fine = rng.normal(size=(side, side))
    waves = ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 12, mode="wrap")
    waves /= np.abs(waves).max()
    if kind == "sand":
        value = 0.72 + 0.10 * waves + 0.035 * ndimage.gaussian_filter(fine, 0.7)
        tint = np.array([1.0, 0.90, 0.70])
    elif kind == "salt":
        # Ridges where two slow waves cross zero, as on a dried lake.
        other = ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 16, mode="wrap")
        ridges = np.exp(-((other / other.std()) ** 2) * 20)
        value = 0.86 + 0.05 * waves - 0.12 * ridges + 0.02 * fine
        tint = np.array([0.97, 0.98, 1.0])
    else:
        rows, columns = np.indices((side, side)) + rng.integers(0, side, 2)[:, None, None]
        tile = side // 7
        light = (rows // tile + columns // tile) % 2
        value = 0.55 + 0.12 * light + 0.06 * waves + 0.01 * fine
        tint = np.array([0.98, 0.95, 0.92])
    ground = np.clip(value, 0, 1)[..., None] * tint
    ground.setflags(write=False)
    return ground
