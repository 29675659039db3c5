"""Subjects with the weights that they have when they are served in eight or four bits.

What is judged is a checkpoint whose weights are rounded and written back ("quantise and dequantise"), in the
dtype that the subject has otherwise. So a difference between the two is the rounding's alone, it can be had on
any machine, and every head can still be read and edited. The rules are those of bitsandbytes, whose weights are
these before they are multiplied, and whose layers are chosen as transformers does for it: all linear layers, of
the vision tower, too, but not the one that puts out logits.

    int8: each output row by its largest size, 127 steps to each side (LLM.int8(), Dettmers et al. 2022, section
        3). That library rounds activations, too, where none is large, which is not done here.
    nf4: blocks of 64 weights in the order in which they lie in memory, each by its largest size, to one of 16
        levels (QLoRA, Dettmers et al. 2023, section 3 and appendix E), without rounding the sizes themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from harness.subjects.subject import Subject

LEVELS = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""The levels of NormalFloat4, as QLoRA's appendix E prints them."""

BLOCK = 64
"""Weights that share one size in nf4."""

STEPS = 127
"""Steps of int8 to each side of zero."""


def round_to_int8(weight: torch.Tensor) -> torch.Tensor:
    """Round each row to whole steps of a 127th of its largest size.

    Args:
        weight: Finite, [rows, columns], of any floating dtype.

    Returns:
        In its shape and dtype; a row of zeros stays as it is.
    """
    exact = weight.float()
    size = exact.abs().amax(1, keepdim=True)
    steps = torch.round(exact * (STEPS / size.where(size > 0, 1)))
    return (steps * (size / STEPS)).to(weight.dtype)


def round_to_nf4(weight: torch.Tensor) -> torch.Tensor:
    """Round each block of 64 weights to the levels of NormalFloat4 times the block's largest size.

    Args:
        weight: Finite, of any shape and floating dtype; the last block may be shorter.

    Returns:
        In its shape and dtype; a block of zeros stays as it is.
    """
    exact = weight.float().flatten()
    blocks = functional.pad(exact, (0, -len(exact) % BLOCK)).view(-1, BLOCK)
    size = blocks.abs().amax(1, keepdim=True)
    levels = torch.tensor(LEVELS, device=weight.device)
    # A number between two levels goes to the nearer one, and from the middle to the lower.
    middles = (levels[1:] + levels[:-1]) / 2
    chosen = torch.bucketize((blocks / size.where(size > 0, 1)).contiguous(), middles)
    rounded = (levels[chosen] * size).flatten()[: len(exact)]
    return rounded.view(weight.shape).to(weight.dtype)


ROUNDING: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "int8": round_to_int8,
    "nf4": round_to_nf4,
}
"""How weights are rounded, by the name of the variant."""


def list_rounded(model: PreTrainedModel) -> Iterator[tuple[str, nn.Linear]]:
    """The layers whose weights are rounded, with their paths: all linear ones but the one that gives logits."""
    last = model.get_output_embeddings()
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear) and module is not last:
            yield path, module


@torch.no_grad()
def quantise(subject: Subject, how: str) -> Subject:
    """Round the weights of a subject, in place.

    Args:
        subject: Just loaded, so that nobody else has its model.
        how: A name of ROUNDING.

    Returns:
        The same subject.
    """
    done: set[int] = set()
    for _, layer in list_rounded(subject.model):
        # Rounding a matrix that two layers share a second time would change it again.
        if id(layer.weight) not in done:
            layer.weight.copy_(ROUNDING[how](layer.weight))
            done.add(id(layer.weight))
    return subject
