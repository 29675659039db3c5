"""Memory given back: after a failure, whose traceback holds every tensor it met, and between subjects."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Iterator

LITTLE = 64 * 2**20
"""Bytes that may stay on a GPU when a subject was let go: torch and its libraries keep some for themselves."""


def let_go(error: BaseException) -> None:
    """Empty the frames that an error passed through, and those of the errors behind it.

    What was raised is kept for the report, with its message and its lines; the tensors in its frames would be
    kept as long, and the next claim would find no memory.
    """
    for each in _behind(error, set()):
        traceback.clear_frames(each.__traceback__)
        for frame, _ in traceback.walk_tb(each.__traceback__):
            # Who looked at the variables of a frame, as reports do, left a copy of them there, which is
            # brought up to date, that is emptied, when it is looked at again.
            len(frame.f_locals)


def _behind(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from _behind(error.__cause__, seen)
    yield from _behind(error.__context__, seen)


def give_back() -> None:
    """Collect what nothing refers to, and return what torch keeps for later to the GPU."""
    gc.collect()
    if _on_gpu():
        sys.modules["torch"].cuda.empty_cache()


def allocated() -> int:
    """Bytes of tensors on all GPUs of this process; 0 without a GPU."""
    if not _on_gpu():
        return 0
    cuda = sys.modules["torch"].cuda
    return sum(cuda.memory_allocated(i) for i in range(cuda.device_count()))


def _on_gpu() -> bool:
    # Who has not used torch has nothing there, and must not begin to.
    return "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized()
