"""Where the time of a first `pytest claims` goes, experiment by experiment.

    python benchmarks/costs.py --out reports/benchmarks/costs.md

Every experiment is measured once on each embedded subject, in one process of one thread. Each phase counts its
own processor seconds, without those of the phases inside it:

drawing       scenes to images
encoding      image processor, vision tower, prompts to tokens
forward       runs that are read, or that give an answer
clean         runs that replays start from
replay        what edits change
writing       continuations, word by word
statistics    all the rest of an experiment

Then what happens once: imports of a process, loading a subject with its self-check, and judging, figures and
page of a run whose measurements are all in the store.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from harness.experiments.catalogue import EXPERIMENTS
from harness.machine.files import ROOT
from harness.runs.options import Options
from harness.runs.run import Run
from harness.stimuli import draw
from harness.subjects.registry import read_registry
from harness.subjects.subject import Subject
from harness.tracing import capture, clean, generate, some_tokens, trace

PHASES: dict[str, list[tuple[Any, str]]] = {
    "drawing": [(draw, "draw")],
    "encoding": [(Subject, "encode"), (Subject, "_encode_images")],
    "forward": [(trace, "_once"), (capture, "read_last_logits")],
    "clean": [(clean, "_run_once")],
    "replay": [(clean.CleanRun, "advance"), (some_tokens, "_call")],
    "writing": [(generate, "_run")],
}
EMBEDDED = [name for name, entry in read_registry().items() if entry.kind == "embedded"]


class Clock:
    """Processor seconds by phase; a phase inside another takes its seconds from it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inner: list[float] = []

    def timed(self, phase: str, function: Callable) -> Callable:
        """The function, which adds what it takes to its phase."""

        @wraps(function)
        def run(*args: Any, **named: Any) -> Any:
            begun = time.process_time()
            self._inner.append(0.0)
            try:
                return function(*args, **named)
            finally:
                took, inner = time.process_time() - begun, self._inner.pop()
                self.seconds[phase] += took - inner
                if self._inner:
                    self._inner[-1] += took

        return run


@contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Put every phase on the clock, in every module that has imported its functions by name."""
    changed = []
    for phase, places in PHASES.items():
        for owner, name in places:
            function = getattr(owner, name)
            ours = [m for n, m in sys.modules.items() if n.startswith("harness") and m]
            holders = [owner, *(m for m in ours if getattr(m, name, None) is function)]
            changed += [(holder, name, function) for holder in holders]
            for holder in holders:
                setattr(holder, name, clock.timed(phase, function))
    try:
        yield
    finally:
        for holder, name, function in changed:
            setattr(holder, name, function)


def of_experiments(name: str, store: Path) -> dict[str, dict[str, float]]:
    """Seconds by experiment and phase, and "all", of one subject; the measurements stay in the store."""
    options = Options(subjects=(name,), store=store, records=store / "records")
    run = Run(options, lambda line: None)
    (entry,) = run.entries
    run.holder(entry)
    # A module that is first imported while phases are on a clock would keep that clock's functions.
    for experiment in EXPERIMENTS:
        experiment.load_measure()
    found = {}
    for experiment in EXPERIMENTS:
        clock, begun = Clock(), time.process_time()
        with watched(clock):
            run.measuring.measure(experiment, entry)
        whole = time.process_time() - begun
        rest = whole - sum(clock.seconds.values())
        found[experiment.name] = {**clock.seconds, "statistics": rest, "all": whole}
        print(f"{name}: {experiment.name} {whole:.2f} s", flush=True)
    return found


def of_command(*command: str) -> float:
    """Processor seconds of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def once(name: str, store: Path) -> dict[str, float]:
    """Seconds of what a run does once: imports, loading, and judging from the store with and without a page."""
    imports = "import harness.suite.plugin, harness.experiments.catalogue, harness.subjects.loading"
    loading = f"""{imports}
from harness.subjects.registry import find, read_registry
from harness.tracing.selfcheck import selfcheck
selfcheck(harness.subjects.loading.load(find({name!r}, read_registry())))"""
    claims = [
        sys.executable,
        "-m",
        "pytest",
        "claims",
        "-q",
        "--subject",
        name,
        "--store",
        str(store),
    ]
    imported = of_command(sys.executable, "-c", imports)
    judged = of_command(*claims)
    shown = of_command(*claims, "--scorecard", str(store / "scorecard"))
    return {
        "imports of a process": imported,
        "loading and self-check": of_command(sys.executable, "-c", loading) - imported,
        "judging, with pytest": judged - imported,
        "figures and page": shown - judged,
    }


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    columns = [*PHASES, "statistics", "all"]
    lines = [
        "# Where the time of a first run goes",
        "",
        "Processor seconds by experiment, one process of one thread, nothing in the store. Written by "
        "`python benchmarks/costs.py`",
        f"on {found['machine']}; what the columns mean stands there.",
    ]
    for name, rows in found["experiments"].items():
        lines += ["", f"## {name}", "", "| experiment | " + " | ".join(columns) + " |"]
        lines.append("|---" * (len(columns) + 1) + "|")
        whole: Counter[str] = Counter()
        for experiment, seconds in rows.items():
            whole.update(seconds)
            lines.append(_row(experiment, [seconds.get(c, 0.0) for c in columns]))
        lines.append(_row("**all**", [whole[c] for c in columns]))
    lines += ["", "## Once a run", "", "| what | seconds |", "|---|---|"]
    lines += [_row(what, [seconds]) for what, seconds in found["once"].items()]
    return "\n".join(lines) + "\n"


def _row(name: str, seconds: list[float]) -> str:
    return f"| {name} | " + " | ".join(f"{s:.1f}" if s >= 0.05 else "" for s in seconds) + " |"


def main() -> int:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subject", action="append", help="default: the embedded ones")
    parser.add_argument(
        "--out", type=Path, help="Markdown; a JSON of the same figures goes beside it"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.subject or EMBEDDED
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        found = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, torch {torch.__version__}",
            "experiments": {name: of_experiments(name, store) for name in names},
            "once": once(names[0], store),
        }
    print(table(found))
    if arguments.out:
        arguments.out.write_text(table(found), encoding="utf-8")
        content = json.dumps(found, indent=1) + "\n"
        arguments.out.with_suffix(".json").write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
