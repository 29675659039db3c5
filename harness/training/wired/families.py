"""The architectures that controls are written into: what each has of its own.

Slots, stages and heads of a mechanism know none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.training.architectures import Untrained
from harness.training.wired import llava, qwen2_vl


class WriteSight(Protocol):
    """Writes the weights by which a subject sees the scenes."""

    def __call__(self, subject: Untrained, *, relative: bool, seed: int) -> None:
        """Replace the weights of the vision tower and of what joins it to the text model."""


class Build(Protocol):
    """Builds an architecture at the sizes that the mechanisms need."""

    def __call__(self) -> Untrained:
        """Build it with weights that are still random."""


@dataclass(frozen=True)
class Family:
    """What an architecture has of its own.

    Attributes:
        like: The embedded subject that has the same architecture, for the card.
        build: Builds the architecture.
        write_sight: Writes its eyes.
        card: What the card says of it.
    """

    like: str
    build: Build
    write_sight: WriteSight
    card: str = ""


LLAVA = Family("tiny-llava", llava.build, llava.write_sight)
QWEN2_VL = Family(
    "tiny-qwen2-vl",
    qwen2_vl.build,
    qwen2_vl.write_sight,
    """Two query heads share a key head: each asks for its own part of the key and takes its own part of the
value. Positions are those of M-RoPE; heads that look a word or two back use what counts in time. Beyond
its first 200 dimensions the residual stream holds nothing but noise.

The vision tower has no absolute position, only rotations that say how far apart two patches are. It marks
one patch in each quarter of every object and finds how far each patch is from the middle of all marks; the
merger tells from the four patches of a token what is there. Places in the image cannot be written this way.
""",
)
