"""Where a process may work: its share of the cores, its GPU, and whether a subject fits there.

Nothing here imports torch, which reads the environment only once. Every decision is a function of numbers and
names, so it can be tested where there is no GPU.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping, Sequence

WORKER, WORKERS = "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"
VISIBLE, PLACED = "CUDA_VISIBLE_DEVICES", "BINDING_CLAIMS_PLACED"

ROOM = 1.15
"""A subject fits where this many times its weights are free, since activations need memory, too."""


class NoGpu(RuntimeError):
    """A GPU is asked for and none is left for this process; nothing silently falls back to the CPU."""


class DoesNotFit(RuntimeError):
    """A subject is larger than all the devices that this process sees."""


def place_process(environ: MutableMapping[str, str]) -> None:
    """Write into the environment of a worker of pytest-xdist how many threads it has, and which GPU.

    Nothing changes in a process that is no worker, nor in one that a worker started, which has its GPU already.
    """
    if WORKERS in environ:
        # Two processes with two threads each thrash on two cores.
        environ.setdefault("OMP_NUM_THREADS", str(count_threads(environ)))
    index = re.fullmatch(r"gw([0-9]+)", environ.get(WORKER, ""))
    if index and PLACED not in environ:
        environ[VISIBLE] = find_gpu_of_worker(int(index[1]), environ.get(VISIBLE))
        environ[PLACED] = environ[WORKER]


def count_threads(environ: Mapping[str, str] = os.environ, cores: int | None = None) -> int:
    """Torch threads for a process: the cores, shared out between pytest-xdist's workers.

    OMP_NUM_THREADS decides if it is set: only whoever started several processes knows how many there are, and
    threads that wait for each other's cores are slower than a single one.
    """
    if environ.get("OMP_NUM_THREADS", "").isdigit():
        return max(1, int(environ["OMP_NUM_THREADS"]))
    cores = len(os.sched_getaffinity(0)) if cores is None else cores
    return max(1, cores // int(environ.get(WORKERS, 1)))


def list_visible_gpus(value: str) -> list[str]:
    """The devices that CUDA_VISIBLE_DEVICES names: numbers, or identifiers of GPUs and of their parts.

    As CUDA reads it, the list ends before the first entry that names nothing.
    """
    found = []
    for name in (entry.strip() for entry in value.split(",")):
        if not re.fullmatch(r"[0-9]+|(GPU|MIG)-[^\s]+", name):
            break
        found.append(name)
    return found


def find_gpu_of_worker(index: int, visible: str | None) -> str:
    """The value of CUDA_VISIBLE_DEVICES for one worker: one device, or empty if none is left.

    Args:
        index: The worker's number, 0 for gw0.
        visible: The value in the process that started the run; None if unset, so that all GPUs are visible.
    """
    if visible is None:
        return str(index)
    gpus = list_visible_gpus(visible)
    return gpus[index] if index < len(gpus) else ""


def check_gpus(workers: int, gpus: int) -> None:
    """Check that there is a GPU for every worker.

    Raises:
        NoGpu: There are more workers; the message says how many there may be.
    """
    if workers > gpus:
        raise NoGpu(
            f"--gpu: {workers} workers (-n) and {gpus} visible GPU{'s' * (gpus != 1)}, and each worker has one "
            f"of its own: use -n {gpus} or fewer, or make more GPUs visible in CUDA_VISIBLE_DEVICES"
        )


def find_device(name: str, need: float, free: Sequence[float]) -> str:
    """The GPU to load a subject on, or "auto" if it must be spread over several.

    Args:
        name: The subject's, for the message.
        need: GiB of its weights; 0 if unknown or of no concern.
        free: GiB free on each visible GPU.

    Returns:
        "cuda:0" or another; "auto" stands for all of them.

    Raises:
        DoesNotFit: Not even all of them together have room for it.
    """
    for index, room in enumerate(free):
        if need * ROOM <= room:
            return f"cuda:{index}"
    if need * ROOM <= sum(free):
        return "auto"
    shown = " and ".join(f"{room:.1f}" for room in free) or "0"
    raise DoesNotFit(
        f"{name}: its weights take {need:.1f} GiB, with room for activations {need * ROOM:.1f}, and the "
        f"visible GPUs have {shown} GiB free: free them, make more of them visible in CUDA_VISIBLE_DEVICES "
        "(and leave -n out: a worker has one GPU), or take a smaller dtype (--dtype bfloat16)"
    )
