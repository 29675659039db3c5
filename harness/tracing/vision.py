"""Read what is inside the vision side: the layers of the tower, and the projector that leads to the decoder.

What the projector gives becomes the embedding of the image tokens, which can be edited
(`harness.tracing.embedding`); the sites here can only be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from harness.stimuli.scene import Scene
from harness.subjects.subject import Subject


class Vision(NamedTuple):
    """The vision side's activations of n images of one size, on the CPU.

    Attributes:
        layers: float32 [V, n, patches, width], the output of every layer of the tower, in the order in which
            the tower has its patches, tiles one after the other. That is row by row but for towers that look
            at windows (Qwen2.5-VL).
        projected: float32 [n, tokens, d], the output of the projector; in its order, too.
    """

    layers: torch.Tensor
    projected: torch.Tensor


@torch.no_grad()
def capture_vision(subject: Subject, scenes: Sequence[Scene]) -> Vision:
    """Run the vision side on some images and read it.

    Args:
        subject: The model.
        scenes: n images.
    """
    found: dict[str, list[torch.Tensor]] = {"layers": [], "projected": []}

    def keep(name: str) -> Callable[..., None]:
        def read(module: torch.nn.Module, given: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            found[name].append(value.float().cpu().reshape(len(scenes), -1, value.shape[-1]))

        return read

    handles = [x.register_forward_hook(keep("layers")) for x in find_vision_layers(subject)]
    handles.append(find_projector(subject).register_forward_hook(keep("projected")))
    try:
        _, inputs = subject.processed(scenes)
        subject.model.model.get_image_features(**inputs, return_dict=True)
    finally:
        for handle in handles:
            handle.remove()
    return Vision(torch.stack(found["layers"]), found["projected"][0])


def find_vision_layers(subject: Subject) -> Sequence[torch.nn.Module]:
    """The layers of the vision tower.

    Raises:
        AttributeError: The anatomy's path leads nowhere.
    """
    layers = subject.model.get_submodule(subject.anatomy.vision_layers)
    return list(layers.children())


def find_projector(subject: Subject) -> torch.nn.Module:
    """The module whose output is put in place of image tokens.

    Raises:
        AttributeError: The anatomy's path leads nowhere.
    """
    return subject.model.get_submodule(subject.anatomy.projector)
