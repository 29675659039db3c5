"""Gives memory back after a failure, whose traceback keeps every tensor it met, and between subjects."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Iterator

LITTLE = 64 * 2**20
"""Bytes that may stay on a GPU after a subject is released: torch and its libraries keep some."""


def clear_frames(error: BaseException) -> None:
    """Empty the frames that an error passed through, and those of the errors that led to it.

    A report keeps the error, with its message and its lines. Its frames would keep their tensors as long, and
    the next claim would find no memory.
    """
    for each in _walk_causes(error, set()):
        traceback.clear_frames(each.__traceback__)
        for frame, _ in traceback.walk_tb(each.__traceback__):
            # Reading `f_locals`, as reports do, caches a snapshot that keeps tensors alive; reading it again
            # after clearing refreshes the snapshot.
            len(frame.f_locals)


def _walk_causes(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """The error, its causes and the errors it interrupted, each once."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from _walk_causes(error.__cause__, seen)
    yield from _walk_causes(error.__context__, seen)


def free_memory() -> None:
    """Collect garbage, and return to the GPU what torch keeps for later."""
    gc.collect()
    if _on_gpu():
        sys.modules["torch"].cuda.empty_cache()


def count_allocated_bytes() -> int:
    """Bytes of tensors on all GPUs of this process; 0 without a GPU."""
    if not _on_gpu():
        return 0
    cuda = sys.modules["torch"].cuda
    return sum(cuda.memory_allocated(i) for i in range(cuda.device_count()))


def _on_gpu() -> bool:
    # A process that has not used torch has nothing on a GPU, and must not start to.
    return "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized()
