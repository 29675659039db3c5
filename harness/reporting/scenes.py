"""Draw again the few trials that a measurement keeps in words, as small images that a page holds itself."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from PIL import Image

from harness.stimuli.draw import draw
from harness.stimuli.scene import Backdrop, Cell, Grid, Scene, objects

SIDE = 112
"""Side of an image on the page in pixels, at most."""


PHOTOGRAPH = "photograph"
"""What stands for the setting of a photograph, which is not kept."""


class ShownImage(NamedTuple):
    """One image of a trial.

    Attributes:
        source: The image as a data URI; "" for a photograph, which stays where it is.
        text: What is on it, in words.
        side: Its width and height in pixels.
    """

    source: str
    text: str
    side: int


class ShownTrial(NamedTuple):
    """One trial as a reader sees it: images, prompt, what is right, and the answers by what was done."""

    group: str
    images: tuple[ShownImage, ...]
    prompt: str
    right: str
    answers: tuple[tuple[str, str], ...]


def read_trials(examples: str) -> list[ShownTrial]:
    """The trials that a measurement keeps, from what `harness.experiments.examples` writes beside it.

    There are none if they cannot be read: a page must not fail for the sake of an illustration.

    Args:
        examples: JSON, or "".
    """
    try:
        return [_read_trial(row) for row in json.loads(examples or "[]")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _read_trial(row: Mapping[str, Any]) -> ShownTrial:
    return ShownTrial(
        str(row["group"]),
        tuple(_show_scene(json.dumps(scene)) for scene in row["scenes"]),
        str(row["prompt"]),
        str(row["right"]),
        tuple((str(edit), str(word)) for edit, word in row["answers"].items()),
    )


@lru_cache(maxsize=1024)
def _show_scene(text: str) -> ShownImage:
    """A scene drawn from the JSON that describes it; subjects that are shown the same scenes share images."""
    row = json.loads(text)
    told = ", ".join(f"{name} in row {r + 1}, column {c + 1}" for name, r, c in row["objects"])
    if row["setting"] == PHOTOGRAPH:
        return ShownImage("", f"a photograph of {told}", 0)
    image = draw(read_scene(row))
    if image.width > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.quantize(64).save(file, "PNG", optimize=True)
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return ShownImage(source, told or "a white image", image.width)


def read_scene(row: Mapping[str, Any]) -> Scene:
    """The scene that plain values describe, as an experiment keeps them; a photograph cannot be read.

    Raises:
        ValueError: It is none, or is not one that can be drawn.
        KeyError: A part is missing.
        TypeError: A part is of another kind.
    """
    rows, cell, gap, margin = map(int, row["grid"])
    setting = row["setting"]
    return Scene(
        Grid(rows, cell, gap, margin),
        objects(str(name) for name, _, _ in row["objects"]),
        tuple(Cell(int(r), int(c)) for _, r, c in row["objects"]),
        Backdrop(str(setting[0]), int(setting[1])) if setting else None,
    )
