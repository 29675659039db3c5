"""A whole `pytest claims` from an empty store: wall time, where it goes, seconds per experiment, memory, GPU.

    python benchmarks/scorecard.py --subject tiny-llava --out reports/benchmarks/scorecard-tiny-llava.md
    python benchmarks/scorecard.py --subject qwen2-vl-7b --device cuda --trials 24 --keep /tmp/shaped

It runs the command as anybody types it, in a process of its own, and reads the lines that it prints: they say
what each measurement took, with the loading of the subject in the first, and what the whole session did.

A published shape is first written as a checkpoint with random weights (--keep keeps it for another run), and
is run without the gate, since it answers nothing right. On a GPU, how busy it is and how full is asked of
nvidia-smi twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from mediation import PACKAGES, _processor
from shapes import SHAPES, TINY, shaped

from harness.machine.files import ROOT
from harness.machine.memory import free_memory

MEASURED = re.compile(r"measured (\S+) on (\S+): (\d+) trials in ([0-9.]+) s")
TOLD = re.compile(r" in ([0-9.]+)s( \(.*\))?( =+)?$")
"""pytest's last line of its own, with the seconds that it took."""


class Watch(threading.Thread):
    """Asks twice a second how much memory processes hold, and how busy and full the GPU is.

    Args:
        process: Of which, with those that it starts.
        gpu: Whether to ask nvidia-smi.
    """

    def __init__(self, process: int, *, gpu: bool) -> None:
        super().__init__(daemon=True)
        self.process, self.gpu = process, gpu
        self.memory, self.busy, self.full = 0, list[float](), 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        """Ask until told that the process has ended."""
        while not self.ended.wait(0.5):
            self.memory = max(self.memory, sum(map(_read_memory, _list_family(self.process))))
            if self.gpu:
                asked = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used"]
                done = subprocess.run(
                    [*asked, "--format=csv,noheader,nounits"], capture_output=True, text=True
                )
                for line in done.stdout.splitlines()[:1]:
                    busy, full = map(float, line.split(","))
                    self.busy.append(busy / 100)
                    self.full = max(self.full, full * 2**20)


def _list_family(process: int) -> list[int]:
    """A process and all that it has started, as far as they still run."""
    found, waiting = [], [process]
    while waiting:
        found.append(waiting.pop())
        try:
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def _read_memory(process: int) -> int:
    """Bytes of memory that a process holds; 0 once it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    held = re.search(r"VmRSS:\s+(\d+) kB", text)
    return 1024 * int(held[1]) if held else 0


def run_claims(
    subject: str, folder: Path, *, gpu: bool, trials: int | None, gate: bool, more: Sequence[str]
) -> dict[str, Any]:
    """Run all claims once with an empty store, and read where the time went.

    Args:
        subject: A name or a checkpoint.
        folder: An empty one, for the store and the scorecard.
        gpu: Whether on a GPU.
        trials: Of every experiment; its own number if None.
        gate: Whether trials must be answered right.
        more: Further options of the command.
    """
    command = [sys.executable, "-u", "-m", "pytest", "claims", "-q", "--subject", subject]
    command += ["--baseline", "none", "--store", str(folder / "store")]
    command += ["--scorecard", str(folder / "out"), *more]
    command += ["--gpu"] * gpu + ["--no-gate"] * (not gate)
    command += ["--trials", str(trials)] if trials else []
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    watch = Watch(process.pid, gpu=gpu)
    watch.start()
    lines = [line.rstrip() for line in process.stdout or ()]
    status = process.wait()
    wall = time.perf_counter() - begun
    watch.ended.set()
    watch.join()
    used = os.times()
    found = {
        "status": status,
        "wall": wall,
        "processor": used.children_user + used.children_system,
        **read_lines(lines, wall),
        "memory_gib": watch.memory / 2**30,
    }
    if watch.busy:
        found["gpu_busy"] = sum(watch.busy) / len(watch.busy)
        found["gpu_gib"] = watch.full / 2**30
    scorecard = folder / "out" / "scorecard.json"
    if scorecard.exists():
        found["verdicts"] = len(json.loads(scorecard.read_text())["records"])
    if status not in (0, 1) or not found.get("verdicts"):
        print(*lines[-20:], sep="\n", file=sys.stderr)
    return found


def read_lines(lines: Sequence[str], wall: float) -> dict[str, Any]:
    """Where the time of a run went, from what it said that measurements and the whole session took.

    Args:
        lines: What it printed.
        wall: Seconds of the whole process.

    Returns:
        `phases`: seconds by name, which sum to `wall`; `experiments`: seconds by name.
    """
    experiments: dict[str, float] = {}
    for line in lines:
        if told := MEASURED.search(line):
            experiments[told[1]] = experiments.get(told[1], 0.0) + float(told[4])
    sessions = [float(told[1]) for line in lines if (told := TOLD.search(line))]
    session, measuring = sessions[-1] if sessions else wall, sum(experiments.values())
    phases = {
        "imports, start and end of the process": wall - session,
        "loading and measuring": measuring,
        "collection, judging, scorecard and figures": session - measuring,
    }
    return {"phases": phases, "experiments": experiments}


def describe_machine(device: str) -> dict[str, Any]:
    """The machine, the versions and the date."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "cores": len(os.sched_getaffinity(0)),
        **{package: version(package) for package in PACKAGES},
        "date": datetime.now(UTC).date().isoformat(),
    }


def write_checkpoint(name: str, folder: Path, device: str) -> None:
    """Write a shape with random weights in bfloat16, as published models are stored."""
    subject = shaped(name, device=device, dtype=torch.bfloat16)
    subject.model.save_pretrained(folder)
    subject.tokenizer.save_pretrained(folder)
    subject.image_processor.save_pretrained(folder)
    # The run needs the GPU, and its memory is told.
    del subject
    free_memory()


def format_table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    where, wall = found["machine"], found["wall"]
    lines = [
        f"# One whole run on {found['subject']}",
        "",
        f"{where['device']}, {where['cores']} cores, torch {where['torch']}, "
        f"transformers {where['transformers']}, {where['date']}; {found['asked']}.",
        f"Written by `python benchmarks/scorecard.py`. {wall:.0f} s on the wall, {found['processor']:.0f} s of "
        f"processors, {found.get('verdicts', 0)} verdicts, at most {found['memory_gib']:.1f} GiB of memory"
        + (
            f"; the GPU is busy {found['gpu_busy']:.0%} of the time and holds {found['gpu_gib']:.1f} GiB."
            if "gpu_busy" in found
            else "."
        ),
        "",
        "| what | seconds | share |",
        "|---|---|---|",
    ]
    for name, seconds in found["phases"].items():
        lines.append(f"| {name} | {seconds:.1f} | {seconds / wall:.0%} |")
    for name, seconds in sorted(found["experiments"].items(), key=lambda item: -item[1]):
        lines.append(f"| measuring {name} | {seconds:.1f} | {seconds / wall:.0%} |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 if the run gave no scorecard."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shapes = [*SHAPES, TINY]
    parser.add_argument(
        "--subject", default="tiny-llava", help=f"registered, a folder, or {shapes}"
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--trials", type=int, help="of every experiment; its own number if not given"
    )
    parser.add_argument("--keep", type=Path, help="folder for the checkpoint of a shape")
    parser.add_argument("--only", action="append", default=[], help="-k of pytest")
    parser.add_argument("--dtype", help="as --dtype of pytest claims")
    parser.add_argument("--out", type=Path, help="Markdown; a JSON of the same goes beside it")
    options = parser.parse_args(argv)
    more = ["-k", " or ".join(options.only)] if options.only else []
    more += ["--dtype", options.dtype] if options.dtype else []
    shape = options.subject in shapes
    with tempfile.TemporaryDirectory() as folder:
        subject = options.subject
        if shape:
            made = options.keep or Path(folder) / "shaped"
            if not (made / "config.json").exists():
                write_checkpoint(options.subject, made, options.device)
            subject = str(made)
        (Path(folder) / "run").mkdir()
        found = run_claims(
            subject,
            Path(folder) / "run",
            gpu=options.device == "cuda",
            trials=options.trials,
            gate=not shape,
            more=more,
        )
        if shape and not options.keep:
            shutil.rmtree(subject)
    asked = f"{options.trials or 'all'} trials" + ("" if not shape else ", no gate, random weights")
    asked += f", {options.dtype or 'the dtype of its weights'}" + "".join(
        f", {k}" for k in options.only
    )
    found = {
        "subject": options.subject,
        "asked": asked,
        "machine": describe_machine(options.device),
        **found,
    }
    print(format_table(found))
    if options.out:
        options.out.write_text(format_table(found), encoding="utf-8")
        content = json.dumps(found, indent=1, allow_nan=False) + "\n"
        options.out.with_suffix(".json").write_text(content, encoding="utf-8")
    return 0 if found.get("verdicts") else 1


if __name__ == "__main__":
    sys.exit(main())
