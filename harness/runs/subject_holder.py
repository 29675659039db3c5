"""Loading subjects, one at a time in memory, on the device of this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.machine.memory import LITTLE, clear_frames, count_allocated_bytes, free_memory
from harness.machine.placement import (
    PLACED,
    DoesNotFit,
    NoGpu,
    count_threads,
    find_device,
)
from harness.subjects.folder import find_template_in
from harness.subjects.registry import PARTS, Entry
from harness.subjects.wording import WORDINGS

if TYPE_CHECKING:
    from harness.subjects.subject import Subject


def choose_device(gpu: bool) -> str:
    """The torch device of this process: "cuda" if a GPU is asked for, else "cpu".

    Raises:
        NoGpu: A GPU is asked for, and torch sees none.
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


def tell_rounding(entry: Entry, device: str) -> str:
    """A one-line warning that a subject's dtype rounds more than float32; "" where it does not."""
    # On a CPU the second of PARTS is computed as the first.
    if entry.dtype in ("float32", "exact") or (entry.dtype in PARTS and device == "cpu"):
        return ""
    if entry.quantised:
        return f"{entry.name}: measured in {entry.dtype}, as it was asked for, which rounds scores"
    slow = " and is slow on a CPU" if device == "cpu" else ""
    return (
        f"{entry.name}: measured in {entry.dtype}, which rounds scores{slow}; `--dtype float32` "
        "measures it in float32, `--dtype exact` as exactly in half of the memory"
    )


def tell_arrangement(entry: Entry, arrangement: str) -> str:
    """One line that says how a folder is asked, why, and how it is asked otherwise; "" for other subjects.

    Args:
        entry: The folder's, as it was asked for.
        arrangement: The one that is used, where the entry may leave it open.
    """
    if entry.kind != "local" or entry.folder is None:
        return ""
    usual = WORDINGS[entry.family].arrangement
    if not find_template_in(entry.folder):
        why = "it has no chat template, without which --arrangement can only be plain"
    elif entry.arrangement != usual:
        why = f"not {usual}, as a model of its family is by name: leave out --arrangement for that"
    elif usual == "auto":
        unusable = ", of which it can use none" if arrangement == "plain" else ""
        why = (
            f"tried as a model of its family is by name{unusable}; --arrangement asks it otherwise"
        )
    else:
        why = "as a model of its family is by name; --arrangement auto tries its chat template"
    return f"{entry.name}: asked {arrangement} ({why})"


class SubjectHolder:
    """Loads subjects, and keeps only the latest in memory.

    Args:
        device: From `choose_device`.
        attention: "sdpa" or "eager".
        say: Is called with lines about a subject when it is loaded or released.
        remote: Where the decoder layers run, see `harness.tracing.elsewhere`; None for here.
        loaded: Is called with each subject that is loaded.
    """

    def __init__(
        self,
        device: str,
        attention: str,
        say: Callable[[str], None],
        remote: str | None = None,
        loaded: Callable[[Subject], None] = lambda subject: None,
    ) -> None:
        self.loaded = loaded
        self.device, self.attention, self.say, self.remote = device, attention, say, remote
        self._held: Subject | None = None
        self._asked: Entry | None = None
        self._before = 0
        self._refused: dict[Entry, Exception] = {}

    def __call__(self, entry: Entry) -> Subject:
        """The subject of an entry, loaded and self-checked.

        A subject that was refused is refused again without another try, since every claim asks for it.
        """
        if entry in self._refused:
            raise self._refused[entry].with_traceback(None)
        # Compare the requested entry: loading may have replaced "auto" in the held subject's own entry.
        if self._held is None or self._asked != entry:
            from harness.subjects.pinning import is_pinned

            self.release()
            self._before = count_allocated_bytes()
            try:
                subject = self._load(entry)
            except Exception as refusal:
                self._refused[entry] = refusal
                # The error is kept for the next claim that asks, but must not keep the weights in memory.
                clear_frames(refusal)
                raise
            where = subject.elsewhere and f"layers on {subject.elsewhere.where}"
            where = where or ", ".join(
                dict.fromkeys(str(p.device) for p in subject.model.parameters())
            )
            self.say(
                f"loaded {entry.name}: {subject.layers} layers, {subject.heads} heads, {entry.dtype}, "
                f"{where}; hooks checked"
            )
            rounded = "" if self.remote else tell_rounding(entry, self.device)
            for line in (tell_arrangement(entry, subject.entry.arrangement), rounded):
                if line:
                    self.say(line)
            if not is_pinned(entry):
                self.say(
                    f"{entry.name}: revision followed {entry.revision or 'main'}, resolved to "
                    f"{subject.commit}; pin it with `claims pin {entry.name}`"
                )
            self._held, self._asked = subject, entry
            self.loaded(subject)
        return self._held

    def _load(self, entry: Entry) -> Subject:
        import torch

        from harness.experiments.arranging import choose_arrangement
        from harness.subjects.fitting import CannotLoad
        from harness.subjects.loading import load, measure_weights_gib
        from harness.tracing.footprint import OutOfMemory, is_out_of_memory
        from harness.tracing.selfcheck import selfcheck

        torch.set_num_threads(count_threads())
        device = self.device
        if device == "cuda":
            try:
                device = find_device(entry.name, measure_weights_gib(entry), _free())
            except DoesNotFit as error:
                raise CannotLoad(str(error)) from None
        try:
            subject = load(entry, device=device, attention=self.attention)
            if self.remote:
                from harness.tracing.elsewhere import move_layers

                subject = move_layers(subject, self.remote)
            subject = choose_arrangement(subject, lambda line: self.say(f"{entry.name}: {line}"))
            selfcheck(subject)
            return subject
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            cause = str(error).strip().partition("\n")[0]
            clear_frames(error)
        free_memory()
        raise OutOfMemory(
            f"out of memory: loading {entry.name} on {device}, whose weights in {entry.dtype} take "
            f"{measure_weights_gib(entry):.1f} GiB ({cause}). Free the device, or take a smaller dtype "
            "(--dtype bfloat16)"
        )

    def release(self) -> None:
        """Drop the subject and give its memory back; say so if some of it stays in use."""
        if self._held is None:
            return
        name = self._held.name
        self._held = self._asked = None
        free_memory()
        left = count_allocated_bytes() - self._before
        if left > LITTLE:
            self.say(
                f"{left / 2**30:.1f} GiB stay on the GPU after {name} was let go: something still refers to "
                "its tensors, and the next subject has that much less"
            )


def _free() -> list[float]:
    """Free memory of every visible GPU, in GiB."""
    import torch

    return [torch.cuda.mem_get_info(i)[0] / 2**30 for i in range(torch.cuda.device_count())]
