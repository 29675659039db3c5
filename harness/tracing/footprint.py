"""How many rows fit into memory: an estimate from the model's sizes and the free memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from harness.subjects.batch import Batch
from harness.subjects.deepstack import ADDED
from harness.subjects.registry import Refused
from harness.subjects.subject import Subject

SHARE = 0.4
"""Share of the free memory that rows may take: the estimate is rough, and other processes come and go."""

CPU_LIMIT = 2**26
"""Most bytes that rows take on a CPU: more rows than its caches hold are no faster, and workers share it."""


class OutOfMemory(Refused, RuntimeError):
    """Something does not fit into memory, however few rows are run at once."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that a replay takes at its peak.

    Attributes:
        row: For one trial under one variant.
        trial: For the clean run of one trial.
    """

    row: int
    trial: int

    @classmethod
    def of(
        cls, subject: Subject, batch: Batch, start: int, *, whole_vocabulary: bool = False
    ) -> Footprint:
        """Estimate the bytes of replays from token `start` on; few logits are read or the whole vocabulary."""
        config = subject.model.config.get_text_config()
        size = subject.model.dtype.itemsize
        length = batch.last + 1
        if subject.anatomy.token_types and start <= int(batch.image_tokens.max()):
            # Image tokens look ahead here, so that an edit of one reaches back to the first.
            start = min(start, int(batch.image_start.min()))
        own = length - start
        # A token's residual stream before and after, projections, both sides of the gated MLP, scores twice.
        token = 4 * config.hidden_size + 3 * subject.heads * subject.head_width
        token = size * (token + 3 * config.intermediate_size)
        entering = (config.hidden_size + subject.heads * subject.head_width) * own
        kept = 2 * subject.key_heads * subject.head_width * length + entering
        clean = subject.layers * kept * size + length * (token + 4 * subject.heads * length)
        if ADDED in batch.inputs:
            clean += batch.inputs[ADDED][0].nbytes
        logits = 8 * config.vocab_size if whole_vocabulary else 0
        return cls(own * (token + 8 * subject.heads * length) + logits, clean)


def count_rows_that_fit(footprint: Footprint, device: torch.device) -> int:
    """How many rows, each one trial under one variant, fit at once; at least one."""
    return max(1, int(_budget(device) // footprint.row))


def count_trials_that_fit(footprint: Footprint, device: torch.device) -> int:
    """How many trials' clean runs fit at once; at least one."""
    return max(1, int(_budget(device) // footprint.trial))


_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; torch has a class for only one of several such errors."""
    if isinstance(error, (torch.OutOfMemoryError, OutOfMemory, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(s in str(error) for s in _NO_MEMORY)


def _budget(device: torch.device) -> float:
    """Bytes that rows may take on a device."""
    if device.type == "cuda":
        # Memory that torch has reserved and does not use is free as well.
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return SHARE * (torch.cuda.mem_get_info(device)[0] + idle)
    return min(CPU_LIMIT, SHARE * _free_memory())


def _free_memory() -> float:
    """Bytes that the machine can still give, as the kernel estimates them."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return 1024 * float(fields["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return float("inf")


def cut_evenly(start: int, stop: int, size: int) -> list[slice]:
    """Cut start to stop into slices of at most `size`, as even as can be, so that no small rest is left."""
    count = -(-(stop - start) // size)
    edges = [start + (stop - start) * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]
