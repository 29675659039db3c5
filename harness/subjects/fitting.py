"""Checks that the parts of a checkpoint fit each other; their messages say in plain words why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.subjects.anatomy import Anatomy
from harness.subjects.registry import Entry, Refused

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, PreTrainedConfig

QUANTISED_WITH = {
    "awq": "autoawq",
    "gptq": "gptqmodel",
    "bitsandbytes": "bitsandbytes",
    "bnb": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "torchao": "torchao",
    "quanto": "optimum-quanto",
    "hqq": "hqq",
    "eetq": "eetq",
    "aqlm": "aqlm",
}
"""Name of the package that reads weights of each quantisation method, as pip installs it."""


class CannotLoad(Refused, RuntimeError):
    """The subject's files cannot be used; the message names the file and what to do."""


def check_family(entry: Entry, config: PreTrainedConfig, anatomy: Anatomy) -> None:
    """Check that a checkpoint is of the entry's family, by type and by class.

    Raises:
        CannotLoad: It is of another family.
    """
    if anatomy.family != entry.family:
        raise CannotLoad(
            f"{entry.name}: the checkpoint is of family {anatomy.family}, not {entry.family}"
        )
    named = getattr(config, "architectures", None) or [anatomy.architecture]
    if anatomy.architecture not in named:
        raise CannotLoad(
            f"{entry.name}: config.json names the architecture {', '.join(named)}, where family "
            f"{anatomy.family} has {anatomy.architecture}: it is not a whole model of that family"
        )


def check_image_size(
    name: str, config: PreTrainedConfig, processor: BaseImageProcessor, anatomy: Anatomy
) -> None:
    """Check that the processor gives images of the one size that a vision tower takes, if it takes only one.

    Raises:
        CannotLoad: The sizes differ: the tower would raise, or silently stretch its positions.
    """
    if not anatomy.one_size:
        return
    wanted = config.vision_config.image_size
    wanted = tuple(wanted) if isinstance(wanted, (list, tuple)) else (wanted, wanted)
    given = _read_image_size(processor)
    if given is not None and given != wanted:
        raise CannotLoad(
            f"{name}: the image processor gives images of {given[0]}x{given[1]} pixels (preprocessor_config."
            f"json), the vision tower takes {wanted[0]}x{wanted[1]} (config.json: vision_config.image_size): "
            "the two files are of different checkpoints; copy the processor's again"
        )


def check_selected_features(name: str, config: PreTrainedConfig, anatomy: Anatomy) -> None:
    """Check that a vision tower of the family `llava` gives as many features as an image has patches.

    Raises:
        CannotLoad: It gives its class token as well, or leaves out a patch.
    """
    if anatomy.family != "llava":
        return
    found = config.vision_feature_select_strategy
    wanted = "default" if config.vision_config.model_type == "clip_vision_model" else "full"
    if found != wanted:
        more = "one more, of its class token" if found == "full" else "one less"
        raise CannotLoad(
            f"{name}: config.json has vision_feature_select_strategy {found!r}: a tower of type "
            f"{config.vision_config.model_type} then gives not one feature per patch but {more}; only "
            f"{wanted!r} is known here, as published models have it: what an image token shows cannot be told"
        )


def _read_image_size(processor: BaseImageProcessor) -> tuple[int, int] | None:
    """(height, width) of a processor's images, or None where they keep the size of the image."""
    tile = getattr(processor, "max_image_size", None)
    if tile:
        return (tile["longest_edge"],) * 2
    cropped = getattr(processor, "do_center_crop", False)
    size = processor.crop_size if cropped else processor.size
    if size.get("height") and size.get("width"):
        return size["height"], size["width"]
    # Our canvases are square, so the shorter edge is both height and width.
    return (size["shortest_edge"],) * 2 if size.get("shortest_edge") else None


def find_quantisation(config: PreTrainedConfig) -> str:
    """The method by which weights are quantised; empty if they are not."""
    given = getattr(config, "quantization_config", None)
    if not given:
        return ""
    method = given.get("quant_method") if isinstance(given, dict) else given.quant_method
    return str(getattr(method, "value", method) or "unknown method")


def explain_unreadable_weights(entry: Entry, method: str, error: Exception) -> CannotLoad:
    """The error to raise for quantised weights that could not be loaded."""
    package = QUANTISED_WITH.get(method)
    reason = str(error).strip().splitlines()[0]
    way = f"Install {package}, or use" if package else "No package that reads it is known here: use"
    return CannotLoad(
        f"{entry.name}: the weights are quantised ({method}) and cannot be read here: {reason}. {way} the "
        "checkpoint that is not quantised: heads are told apart by small differences"
    )
