"""Trials encoded as the inputs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.stimuli.prompt import Trial
from harness.subjects.layout import PatchGrid

if TYPE_CHECKING:
    from transformers import BatchFeature


@dataclass(frozen=True)
class Batch:
    """B trials as rows of T tokens, padded on the left.

    Attributes:
        trials: The B trials.
        input_ids: int64 [B, T].
        inputs: What the model's forward takes: `inputs_embeds` [B, T, d] with the image in place,
            `attention_mask` [B, T], `position_ids` [B, T] or [3, B, T], and what else the family needs,
            all on the subject's device.
        mentions: For each row, the token indices of each described object, color to shape.
        colors: For each row, the last token index of each described object's first word, its color.
        separators: For each row, the token index of the comma after each described object, or None.
        image_tokens: int64 [B, N] on the CPU, indices of the image tokens, in the order of the patches.
        image_grid: (rows, columns) of the patches, the same for all trials; None where they form no grid.
    """

    trials: tuple[Trial, ...]
    input_ids: torch.Tensor
    inputs: dict[str, torch.Tensor]
    mentions: tuple[tuple[tuple[int, ...], ...], ...]
    colors: tuple[tuple[int, ...], ...]
    separators: tuple[tuple[int | None, ...], ...]
    image_tokens: torch.Tensor
    image_grid: PatchGrid | None

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def last(self) -> int:
        """Index of the last token, whose logits are the answer."""
        return self.input_ids.shape[1] - 1

    @property
    def image_start(self) -> torch.Tensor:
        """int64 [B], index of the first image token."""
        return self.image_tokens[:, 0]

    def stacked(self, times: int) -> dict[str, torch.Tensor]:
        """The inputs with all rows repeated `times` times, one copy below the other."""
        return {k: torch.cat([v] * times, self._find_row_axis(k)) for k, v in self.inputs.items()}

    def _find_row_axis(self, name: str) -> int:
        """The dimension of an input along which its rows lie."""
        return int(name == "position_ids" and self.inputs[name].ndim == 3)

    def of_rows(self, rows: slice) -> Batch:
        """A batch of some of the rows, with their padding unchanged."""
        inputs = {
            k: v[:, rows] if self._find_row_axis(k) else v[rows] for k, v in self.inputs.items()
        }
        return Batch(
            self.trials[rows],
            self.input_ids[rows],
            inputs,
            self.mentions[rows],
            self.colors[rows],
            self.separators[rows],
            self.image_tokens[rows],
            self.image_grid,
        )


def group_by_image(
    features: torch.Tensor | Sequence[torch.Tensor], pixels: BatchFeature
) -> list[torch.Tensor]:
    """Features [S, d] of each image, joined from those of its tiles where the processor counts tiles."""
    if "num_patches" not in pixels:
        return list(features)
    if not isinstance(features, torch.Tensor):
        raise TypeError("the processor counts tiles, but their features are not one tensor")
    counts = [int(n) for n in pixels["num_patches"]]
    return [tiles.flatten(0, 1) for tiles in features.split(counts)]
