"""The residual stream at every slot: slot 0 is what the decoder is given, slot k leaves layer k - 1.

Where features of early vision layers are added later (Qwen3-VL), those that are still to come belong to a
slot, so that what is written there is all that a token has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit
from harness.tracing.embedding import count_parts
from harness.tracing.trace import Read, run

HELD = 2**30
"""Bytes of activations that are held at once, at most."""


@dataclass(frozen=True)
class Slots:
    """What some tokens have at every slot in one run, on the CPU.

    Attributes:
        embedding: float32 [B, S, P, d], see `harness.tracing.site.Kind`.
        residual: float32 [L, B, S, d], the output of every layer.
    """

    embedding: torch.Tensor
    residual: torch.Tensor

    @classmethod
    def capture(
        cls, subject: Subject, batch: Batch, tokens: torch.Tensor, edits: Sequence[Edit] = ()
    ) -> Slots:
        """Read all slots in one run of a batch.

        Args:
            subject: The model.
            batch: B rows.
            tokens: int64 [B, S].
            edits: Made in that run.
        """
        reads = [Read(0, "embedding", tokens)]
        reads += [Read(layer, "residual", tokens) for layer in range(subject.layers)]
        first, *later = run(subject, batch, reads, [list(edits)])
        return cls(first[0].unflatten(-1, (count_parts(batch.inputs), -1)), torch.cat(later))

    @property
    def count(self) -> int:
        """How many slots there are: one more than layers."""
        return len(self.residual) + 1

    def write(
        self, slot: int, tokens: torch.Tensor, taken: torch.Tensor | None = None
    ) -> list[Edit]:
        """The edits that write these values into another run at one slot.

        Args:
            slot: From 0 to the number of layers.
            tokens: int64 [B, C], where they are written.
            taken: int64 [B, C], which of the S tokens that were read goes where; the same ones if None.
        """
        parts = self.embedding.shape[2]
        if slot == 0:
            return [Edit("embedding", 0, tokens, _take(self.embedding, taken))]
        edits = [Edit("residual", slot - 1, tokens, _take(self.residual[slot - 1], taken))]
        if slot < parts:
            coming = tuple(range(slot, parts))
            values = _take(self.embedding, taken)[:, :, slot:]
            edits.append(Edit("embedding", 0, tokens, values, coming))
        return edits


def count_rows(subject: Subject, tokens: int, most: int) -> int:
    """How many rows' slots can be held at once, from 1 to `most`, with as many tokens in each row."""
    width = subject.model.config.get_text_config().hidden_size
    return max(1, min(most, HELD // (4 * width * (subject.layers + 1) * tokens)))


def _take(values: torch.Tensor, taken: torch.Tensor | None) -> torch.Tensor:
    """The values [B, S, ...] of chosen tokens of each row, [B, C, ...]."""
    if taken is None:
        return values
    return values[torch.arange(len(values))[:, None], taken]
