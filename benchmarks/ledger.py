"""What every experiment takes, beside what it would take at the machine's full speed: a speed-of-light ledger.

    python benchmarks/ledger.py --subject tiny-llava --trials 48 --out reports/benchmarks/ledger-tiny-llava.md
    python benchmarks/ledger.py --subject qwen2-vl-7b --device cuda --dtype bfloat16 --trials 48

Columns:

needed      operations that must be done for what the experiment asks (`flops.py` says how they are counted)
done        operations that were done; the rest over `needed` is work that is done twice, or for nothing
moved       bytes that must be moved: weights once for each pass that waits for another, states in and out of
            layers
floor       seconds that `needed` takes at the best speed of a matrix product here, or `moved` at the best speed
            of a copy, whichever is longer
seconds     measured, on the wall
processor   seconds of the processor, summed over threads
share       of the floor in the seconds of the GPU's wall, or of the processor: on a CPU all speeds are by the
            processor's seconds, which other work on the machine does not stretch

A published shape has random weights; as they answer nothing right, what is done only after right answers is
done all the same (see `gpu_seconds.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from flops import counted
from gpu_seconds import TEMPLATE, do_all_work
from mediation import machine, matmul_ceiling, subject_of
from shapes import SHAPES

from harness.experiments.catalogue import EXPERIMENTS
from harness.machine.memory import clear_frames, free_memory
from harness.measuring.experiment import Experiment, Request, let_speak
from harness.measuring.seeding import seed_generator
from harness.subjects.registry import Refused
from harness.subjects.subject import Subject

COPIED = {"cpu": 2**27, "cuda": 2**31}
"""Bytes of the copy by which the speed of memory is measured: more than any cache holds."""


def measure_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of the best of some copies on a device."""
    source = torch.zeros(COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _time_best(lambda: target.copy_(source), device)


def measure_products(subject: Subject) -> float:
    """FLOP/s of the best of some matrix products where a subject is."""
    if subject.device.type != "cpu":
        return matmul_ceiling(subject)
    best = 0.0
    for size in (512, 1024, 2048):
        a = torch.randn(size, size)
        best = max(best, 2 * size**3 / _time_best(partial(torch.matmul, a, a), subject.device))
    return best


def _time_best(act: Callable[[], object], device: torch.device) -> float:
    """The fewest seconds of some tries: on a CPU the processor's, summed over threads."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    took = []
    for _ in range(8):
        _wait(device)
        begun = clock()
        act()
        _wait(device)
        took.append(clock() - begun)
    return min(took)


def measure_all(
    subject: Subject, trials: int | None, names: Sequence[str], *, gate: bool
) -> dict[str, Any]:
    """The ledger of a subject: rows by experiment, what failed, and the machine."""
    found: dict[str, Any] = {
        "subject": subject.name,
        "machine": machine(subject),
        "on_gpu": subject.device.type == "cuda",
        "flops_per_second": measure_products(subject),
        "bytes_per_second": measure_bandwidth(subject.device),
        "experiments": {},
        "failed": {},
    }
    needed: dict[str, xr.Dataset] = {}
    for experiment in _list_in_order(names):
        try:
            row, needed[experiment.name] = _measure(experiment, subject, trials, needed, gate=gate)
        except Exception as error:
            clear_frames(error)
            traceback.print_exception(error)
            found["failed"][experiment.name] = f"{type(error).__name__}: {error}".splitlines()[0]
            free_memory()
            continue
        row["floor"] = max(
            row["needed"] / found["flops_per_second"], row["moved"] / found["bytes_per_second"]
        )
        row["share"] = row["floor"] / row[_find_clock(found)]
        found["experiments"][experiment.name] = row
        print(
            f"{experiment.name}: {row['seconds']:.2f} s, the floor is {row['share']:.0%}",
            flush=True,
        )
    return found


def _find_clock(found: dict[str, Any]) -> str:
    """The column of the seconds that floors are held against."""
    return "seconds" if found["on_gpu"] else "processor"


def _list_in_order(names: Sequence[str]) -> list[Experiment]:
    """The experiments of these names, or all, each after those that it builds on."""
    found: dict[str, Experiment] = {}

    def add(experiment: Experiment) -> None:
        for other in experiment.needs:
            add(other)
        found.setdefault(experiment.name, experiment)

    for experiment in EXPERIMENTS:
        if not names or experiment.name in names:
            add(experiment)
    return list(found.values())


def _measure(
    experiment: Experiment,
    subject: Subject,
    trials: int | None,
    found: dict[str, xr.Dataset],
    *,
    gate: bool,
) -> tuple[dict[str, float], xr.Dataset]:
    """One row of the ledger, and the measurement."""
    needs = {e.name: found[e.name] for e in experiment.needs}
    subject = let_speak(subject, needs)
    count = trials or experiment.count_trials(subject.entry.scale)
    measure = experiment.load_measure(gate=gate)
    rng = seed_generator(0, experiment.name, needs=experiment.draws_apart)
    # Hooks cost little beside the products that they count, and are in the seconds.
    with counted(subject) as work:
        _wait(subject.device)
        begun, used = time.perf_counter(), time.process_time()
        data = measure(Request(subject, count, rng, needed=needs))
        _wait(subject.device)
        seconds, used = time.perf_counter() - begun, time.process_time() - used
    row = {"trials": count, "needed": work.needed, "done": work.done, "moved": work.moved}
    return {**row, "seconds": seconds, "processor": used}, data


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def format_table(found: dict[str, Any]) -> str:
    """The ledger as Markdown."""
    where = found["machine"]
    lines = [
        f"# Ledger of {found['subject']}",
        "",
        f"{where['device']}, {where['threads']} threads, {where['dtype']}, torch {where['torch']}, "
        f"{where['date']}: {found['flops_per_second'] / 1e9:,.0f} GFLOP/s of a matrix product,",
        f"{found['bytes_per_second'] / 1e9:,.1f} GB/s of a copy. Written by `python benchmarks/ledger.py`; "
        "what the columns mean stands there. GFLOP, GB, seconds.",
        "",
        "| experiment | trials | needed | done | moved | floor | seconds | processor | share |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows = dict(found["experiments"])
    rows["**all**"] = {
        key: sum(row[key] for row in rows.values())
        for key in ("needed", "done", "moved", "floor", "seconds", "processor")
    }
    for name, row in rows.items():
        share = row["floor"] / row[_find_clock(found)] if row["seconds"] else 0.0
        lines.append(
            f"| {name} | {row.get('trials', '')} | {row['needed'] / 1e9:,.1f} | {row['done'] / 1e9:,.1f} "
            f"| {row['moved'] / 1e9:,.1f} | {row['floor']:.2f} | {row['seconds']:.2f} "
            f"| {row['processor']:.2f} | {share:.0%} |"
        )
    lines += ["", *(f"Failed: {name}: {why}" for name, why in found["failed"].items())]
    return "\n".join(lines).rstrip() + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if an experiment failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--subject", default="tiny-llava", help=f"registered, a folder, or {[*SHAPES]}"
    )
    parser.add_argument("--device", default="cpu", choices=[*COPIED])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--layers", type=int, help="of a shape; all of its layers if not given")
    parser.add_argument(
        "--trials", type=int, help="of every experiment; its own number if not given"
    )
    parser.add_argument("--experiment", action="append", default=[], help="only this one")
    parser.add_argument("--out", type=Path, help="Markdown; a JSON of the same goes beside it")
    options = parser.parse_args(argv)
    try:
        subject = subject_of(options.subject, options.device, options.dtype, options.layers)
    except Refused as error:
        parser.error(str(error))
    shape = options.subject in SHAPES
    if shape:
        subject.tokenizer.chat_template = TEMPLATE
        do_all_work()
    found = measure_all(subject, options.trials, options.experiment, gate=not shape)
    print(format_table(found))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(format_table(found), encoding="utf-8")
        content = json.dumps(found, indent=1, allow_nan=False) + "\n"
        options.out.with_suffix(".json").write_text(content, encoding="utf-8")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
