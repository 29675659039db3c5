"""What the configuration of a checkpoint, config.json, says of how it is to be loaded and asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from harness.subjects.anatomy import find_anatomy_by_type
from harness.subjects.folder import read_fields

SIZES = ("image_size", "patch_size")


def find_family(folder: Path) -> str:
    """Find the family of a checkpoint, by the types of its model and of its vision tower.

    Args:
        folder: Where the weights are.

    Raises:
        FileNotFoundError: The folder has no configuration.
        NoAnatomy: No family is of these types.
    """
    config = _read_configuration(folder)
    tower = (config.get("vision_config") or {}).get("model_type")
    return find_anatomy_by_type(config.get("model_type"), tower, str(folder)).family


def find_scale(folder: Path) -> Literal["embedded", "paper"]:
    """Find the canvases of a checkpoint: embedded ones for image tokens of 14 px or images of 112 px.

    Args:
        folder: Where the weights are.

    Raises:
        FileNotFoundError: The folder has no configuration.
    """
    vision = _read_configuration(folder).get("vision_config", {})
    # Some families write height and width separately.
    image, patch = ([v] if isinstance(v, int) else v or [] for v in map(vision.get, SIZES))
    return "embedded" if 112 in image or 7 in patch else "paper"


def _read_configuration(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{folder}: no config.json; a subject is a folder as transformers saves one"
        )
    return read_fields(path)
