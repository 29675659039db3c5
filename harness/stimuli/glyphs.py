"""The outlines of the shapes, drawn with Pillow: no font, and no library that picks another renderer."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image, ImageDraw

from harness.stimuli.scene import REFERENCE_CELL, SHAPES

Points = list[tuple[float, float]]


def silhouette(shape: str, side: int) -> Image.Image:
    """A shape in a cell of `side` pixels: mode "L", 255 where it is, [side, side]."""
    mask = Image.new("L", (side, side), 0)
    width, height = (extent * side / REFERENCE_CELL for extent in SHAPES[shape])
    _GLYPHS[shape](ImageDraw.Draw(mask), _Frame(side, width, height))
    return mask


class _Frame:
    """Maps the unit square (x right, y down, centre 0) onto the box a shape is drawn in."""

    def __init__(self, big: int, width: float, height: float) -> None:
        self.middle, self.width, self.height = big / 2, width, height

    def points(self, unit: Points) -> Points:
        return [(self.middle + x * self.width, self.middle + y * self.height) for x, y in unit]

    def box(self, left: float, top: float, right: float, bottom: float) -> Points:
        return self.points([(left, top), (right, bottom)])


def _circle(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    pen.ellipse(frame.box(-0.5, -0.5, 0.5, 0.5), fill=255)


def _square(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    pen.rectangle(frame.box(-0.5, -0.5, 0.5, 0.5), fill=255)


def _triangle(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    pen.polygon(frame.points([(0, -0.5), (0.5, 0.5), (-0.5, 0.5)]), fill=255)


def _heart(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    curve = []
    for step in range(200):
        t = 2 * math.pi * step / 200
        x = 16 * math.sin(t) ** 3
        y = -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
        curve.append((x / 32, (y - 2.5) / 29))
    pen.polygon(frame.points(curve), fill=255)


def _star(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    corners = []
    for step in range(10):
        radius = 0.5 if step % 2 == 0 else 0.19
        angle = math.pi * step / 5
        corners.append((radius * math.sin(angle), -radius * math.cos(angle)))
    pen.polygon(frame.points(corners), fill=255)


def _cross(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    arm = 0.16
    for sign in (1, -1):
        bar = [(-0.5, -0.5 + arm), (-0.5 + arm, -0.5), (0.5, 0.5 - arm), (0.5 - arm, 0.5)]
        pen.polygon(frame.points([(sign * x, y) for x, y in bar]), fill=255)


def _umbrella(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    pen.pieslice(frame.box(-0.5, -0.5, 0.5, 0.5), 180, 360, fill=255)
    pen.rectangle(frame.box(-0.04, -0.05, 0.04, 0.4), fill=255)
    pen.pieslice(frame.box(-0.24, 0.26, 0.04, 0.5), 0, 180, fill=255)
    pen.pieslice(frame.box(-0.16, 0.28, -0.04, 0.42), 0, 180, fill=0)


def _plane(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    pen.polygon(
        frame.points([(-0.45, -0.07), (0.38, -0.07), (0.5, 0), (0.38, 0.07), (-0.45, 0.07)]),
        fill=255,
    )
    for sign in (1, -1):
        pen.polygon(
            frame.points([(0.15, 0), (-0.12, sign * 0.5), (-0.26, sign * 0.5), (-0.1, 0)]), fill=255
        )
        pen.polygon(
            frame.points([(-0.32, 0), (-0.42, sign * 0.22), (-0.5, sign * 0.22), (-0.46, 0)]),
            fill=255,
        )


def _sun(pen: ImageDraw.ImageDraw, frame: _Frame) -> None:
    pen.ellipse(frame.box(-0.24, -0.25, 0.24, 0.25), fill=255)
    for step in range(8):
        angle = math.pi * step / 4
        tip = (0.5 * math.sin(angle), -0.5 * math.cos(angle))
        base = [
            (0.29 * math.sin(angle + side), -0.29 * math.cos(angle + side))
            for side in (-0.22, 0.22)
        ]
        pen.polygon(frame.points([tip, *base]), fill=255)


_GLYPHS: dict[str, Callable[[ImageDraw.ImageDraw, _Frame], None]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "heart": _heart,
    "star": _star,
    "cross": _cross,
    "umbrella": _umbrella,
    "plane": _plane,
    "sun": _sun,
}
