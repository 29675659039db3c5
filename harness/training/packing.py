"""Packs several prompts about one image into one row, each blind to the others.

Image tokens are most of a sequence, so they are computed once for all prompts about the image. A prompt
attends to the image and to itself, and its positions start where the image ends: the row computes what
as many separate sequences would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from harness.stimuli.draw import draw
from harness.stimuli.prompt import Prompt
from harness.stimuli.scene import Scene
from harness.training.architectures import Untrained
from harness.training.tasks import TRAINING_TASKS


@dataclass(frozen=True)
class Packed:
    """One training batch: B images, each with all prompts about it in one row of T tokens.

    Attributes:
        inputs: What the inner model takes: `input_ids` [B, T], `position_ids`, the 4-D additive
            `attention_mask` [B, 1, T, T] float32, and the image processor's output.
        supervised: Flat indices into [B, T] of the tokens whose next token is learned.
        labels: That next token, int64, as long as `supervised`.
        tasks: Index into TASKS of each supervised token, as long as `supervised`.
        owners: The prompt of each supervised token, numbered through the batch.
        completes: Whether each supervised token belongs to the completion (else to the text read).
    """

    inputs: dict[str, torch.Tensor]
    supervised: torch.Tensor
    labels: torch.Tensor
    tasks: NDArray[np.int64]
    owners: NDArray[np.int64]
    completes: NDArray[np.bool_]

    def prompt_weights(self) -> torch.Tensor:
        """Loss weight, float32, of each learned token; every prompt counts the same, and all add up to 1."""
        _, index, sizes = np.unique(self.owners, return_inverse=True, return_counts=True)
        return torch.from_numpy(1 / (sizes[index] * len(sizes))).float()


def _find_learned_spans(prompt: Prompt, task: str) -> list[tuple[int, int]]:
    if TRAINING_TASKS[task].learns == "completion":
        return [s for s in prompt.statements if s[0] >= len(prompt.text)]
    return list(prompt.statements)


def pack(
    scenes: Sequence[Scene], prompts: Sequence[Sequence[tuple[str, Prompt]]], subject: Untrained
) -> Packed:
    """Lay out one row per scene with all prompts about it."""
    tokenizer, model = subject.tokenizer, subject.model
    images = subject.image_processor(images=[draw(s) for s in scenes], return_tensors="pt")
    prefix, prefix_positions = image_prefix(tokenizer, model)
    flat = [p for row in prompts for _, p in row]
    encoded = tokenizer(
        [p.text + p.completion for p in flat], return_offsets_mapping=True, add_special_tokens=False
    )
    lengths = [len(ids) for ids in encoded["input_ids"]]
    per_row, start = [], 0
    for row in prompts:
        per_row.append(range(start, start + len(row)))
        start += len(row)
    longest = len(prefix) + max(sum(lengths[i] for i in row) for row in per_row)
    rows = len(scenes)
    ids = np.full((rows, longest), tokenizer.pad_token_id)
    ids[:, : len(prefix)] = prefix
    block = np.zeros((rows, longest), np.int64)
    block[:, : len(prefix)] = -1
    positions = np.zeros((prefix_positions.shape[0], rows, longest), np.int64)
    positions[:, :, : len(prefix)] = prefix_positions[:, None]
    begin = int(prefix_positions.max()) + 1
    supervised, labels, tasks, owners, completes = [], [], [], [], []
    task_index = {name: i for i, name in enumerate(TRAINING_TASKS)}
    for r, (members, row) in enumerate(zip(per_row, prompts, strict=True)):
        at = len(prefix)
        for number, (i, (task, prompt)) in enumerate(zip(members, row, strict=True), start=1):
            tokens = encoded["input_ids"][i]
            ids[r, at : at + len(tokens)] = tokens
            block[r, at : at + len(tokens)] = number
            positions[:, r, at : at + len(tokens)] = begin + np.arange(len(tokens))
            spans = _find_learned_spans(prompt, task)
            for j, (left, right) in enumerate(encoded["offset_mapping"][i]):
                if any(a <= left and right <= b for a, b in spans):
                    supervised.append(r * longest + at + j - 1)
                    labels.append(tokens[j])
                    tasks.append(task_index[task])
                    owners.append(i)
                    completes.append(left >= len(prompt.text))
            at += len(tokens)
    # All tokens see the image (block -1); a prompt sees itself; padding (block 0) sees padding.
    same = block[:, :, None] == block[:, None, :]
    seen = (same | (block[:, None, :] == -1)) & np.tri(longest, dtype=bool)
    mask = torch.zeros(rows, 1, longest, longest)
    mask.masked_fill_(~torch.from_numpy(seen)[:, None], torch.finfo(torch.float32).min)
    inputs = {
        "input_ids": torch.from_numpy(ids),
        "position_ids": torch.from_numpy(positions if len(positions) > 1 else positions[0]),
        "attention_mask": mask,
        **images,
    }
    return Packed(
        inputs,
        torch.tensor(supervised),
        torch.tensor(labels),
        np.array(tasks),
        np.array(owners),
        np.array(completes),
    )


def supervised_logits(subject: Untrained, batch: Packed) -> torch.Tensor:
    """Compute the logits at the supervised tokens, float32 [supervised, vocabulary]."""
    hidden = subject.model.model(**batch.inputs, use_cache=False).last_hidden_state
    return subject.model.lm_head(hidden.flatten(0, 1)[batch.supervised])


def image_prefix(
    tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel
) -> tuple[list[int], NDArray[np.int64]]:
    """Token ids before the prompt, and their positions [1 or 3, tokens], for one 8x8-token image."""
    side = 8
    image = [model.config.image_token_id] * side * side
    if model.config.model_type != "qwen2_vl":
        return image, np.arange(len(image))[None]
    start, end = model.config.vision_start_token_id, model.config.vision_end_token_id
    time = np.ones(side * side, np.int64)
    row, column = (1 + axis.ravel() for axis in np.indices((side, side)))
    positions = np.stack([time, row, column])
    outer = np.array([[0], [0], [0]])
    return [start, *image, end], np.concatenate([outer, positions, outer + side + 1], axis=1)
