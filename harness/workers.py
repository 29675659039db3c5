"""One subject in memory at a time, on the device of this process."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.placement import PLACED, NoGpu, threads_per_process
from harness.subjects.registry import Entry

if TYPE_CHECKING:
    from harness.subjects.subject import Subject


def device_for(gpu: bool) -> str:
    """The torch device of this process.

    Raises:
        NoGpu: A GPU is asked for and torch sees none.
    """
    if not gpu:
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        if os.environ.get(PLACED) and not os.environ.get("CUDA_VISIBLE_DEVICES"):
            raise NoGpu(
                f"--gpu: no GPU is left for worker {os.environ[PLACED]}: use fewer workers (-n)"
            )
        raise NoGpu(
            "--gpu: torch sees no CUDA device. Check nvidia-smi and CUDA_VISIBLE_DEVICES, and that torch "
            f"({torch.__version__}) is a CUDA build; or leave --gpu out to run the embedded subjects"
        )
    return "cuda"


class SubjectHolder:
    """Loads subjects, keeps the latest and lets go of the one before.

    Args:
        device: From `device_for`.
        attention: "sdpa" or "eager".
        say: Receives a line when a subject is loaded.
    """

    def __init__(self, device: str, attention: str, say: Callable[[str], None]) -> None:
        self.device, self.attention, self.say = device, attention, say
        self._held: Subject | None = None
        self._asked: Entry | None = None
        self._refused: dict[Entry, Exception] = {}

    def __call__(self, entry: Entry) -> Subject:
        """The subject of an entry, loaded and self-checked.

        A subject that was refused once is refused again without another try: every claim asks.
        """
        if entry in self._refused:
            raise self._refused[entry]
        # Not the held subject's own entry, which says what was found out where this one leaves it open.
        if self._held is None or self._asked != entry:
            self.release()
            import torch

            from harness.experiments.arranging import settle
            from harness.subjects.loading import load
            from harness.subjects.pinning import pinned
            from harness.tracing.selfcheck import selfcheck

            torch.set_num_threads(threads_per_process())
            try:
                subject = load(entry, device=self.device, attention=self.attention)
                subject = settle(subject, lambda line: self.say(f"{entry.name}: {line}"))
                selfcheck(subject)
            except Exception as refusal:
                self._refused[entry] = refusal
                raise
            self.say(
                f"loaded {entry.name}: {subject.layers} layers, {subject.heads} heads, {entry.dtype}, "
                f"{self.device}; hooks checked"
            )
            if not pinned(entry):
                self.say(
                    f"{entry.name}: revision followed {entry.revision or 'main'}, resolved to "
                    f"{subject.commit}; pin it with `claims pin {entry.name}`"
                )
            self._held, self._asked = subject, entry
        return self._held

    def release(self) -> None:
        """Let go of the subject and give its memory back."""
        if self._held is None:
            return
        self._held = self._asked = None
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
