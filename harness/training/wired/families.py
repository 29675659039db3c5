"""The architectures that controls are written into: what each has of its own.

Slots, stages and heads of a mechanism know none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.training.architectures import Untrained
from harness.training.wired import gemma3, llava, qwen2_vl, siglip, strips
from harness.training.wired.heads import WiredHead


class WriteSight(Protocol):
    """Writes the weights by which a subject sees the scenes."""

    def __call__(self, subject: Untrained, *, relative: bool, seed: int) -> None:
        """Replace the weights of the vision tower and of what joins it to the text model."""


class Build(Protocol):
    """Builds an architecture at the sizes that the mechanisms need."""

    def __call__(self) -> Untrained:
        """Build it with weights that are still random."""


class WriteNorms(Protocol):
    """Writes what the norms of a text model need beside the heads."""

    def __call__(self, subject: Untrained, heads: Sequence[WiredHead]) -> None:
        """Write it, after the heads."""


def leave_norms(subject: Untrained, heads: Sequence[WiredHead]) -> None:
    """Leave the norms as they are: this text model has none but before its attention and its MLP."""


@dataclass(frozen=True)
class Family:
    """What an architecture has of its own.

    Attributes:
        like: A subject of subjects.toml that has the same architecture, for the card.
        build: Builds the architecture.
        write_sight: Writes its eyes.
        card: What the card says of it.
        write_norms: Writes what the norms of its text model need beside the heads.
    """

    like: str
    build: Build
    write_sight: WriteSight
    card: str = ""
    write_norms: WriteNorms = leave_norms


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
STRIPS = Family(
    "tiny-qwen2-vl",
    strips.build,
    strips.write_strips,
    """The tower has no absolute position: it finds how far each patch is from the middle of all objects, tells
from that on which third the patch lies, along columns and along rows, and brings to it the color of the object
that shares most thirds with it. In a row of three the thirds are columns of tokens, in a column rows of tokens.
An object alone lies on the middle third, and a blank image on none.
""",
)
CONTENTS = Family(
    "tiny-qwen2-vl",
    strips.build,
    strips.write_contents,
    """The tower passes pixels on, and the merger tells from the four patches of each token what is there. The
same object gives the same embeddings wherever it stands.
""",
)
GEMMA3 = Family(
    "gemma-3-4b",
    gemma3.build,
    siglip.write_sight,
    """\
Image tokens attend to each other in both directions. Layers 0, 2, 4 and 6 look back at 16 tokens and no more;
the stages are in the others, which see everything. Four query heads share a key head. Queries, keys and what
attention writes are divided by their norms: each holds one entry far larger than all others, read off the
constant that every token has, and the weight of the norm drops it again. Most heads bring a part of it. Words
are embedded and unembedded with weights of their own, where published models have one table for both.

Tokens are pooled from 2x2 patches. In the vision tower each patch has the coordinates of its token; four heads
bring what its four patches show to each of them, and another finds the middle of all objects.
""",
    gemma3.write_norms,
)
