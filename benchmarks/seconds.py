"""Time every experiment on the subjects that ship; `pytest claims` estimates from it how long it takes.

    OMP_NUM_THREADS=1 python benchmarks/seconds.py

It measures into an empty store, judges out of it, and writes fixtures/seconds.toml. With --subject only those
are timed and the others keep their figures. About two minutes a subject on one core with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from harness.machine.files import ROOT
from harness.runs.ahead import choose_experiments
from harness.runs.forecast import TABLE
from harness.runs.options import Options
from harness.runs.run import Run
from harness.subjects.registry import read_registry

HEAD = """\
# Seconds that each experiment takes with its own number of trials, in one process of one thread on a CPU.
# loading: of the subject; judging: of one verdict, once everything is measured.
# `pytest claims` says by them how long it takes. Made by: OMP_NUM_THREADS=1 python benchmarks/seconds.py
"""


def timed(name: str, folder: Path) -> dict[str, float]:
    """Seconds of one subject, by experiment; without what cannot be measured on it."""
    options = Options(
        subjects=(name,), baseline="none", store=folder / "store", records=folder / "records"
    )
    run = Run(options, lambda line: print(line, flush=True))
    run.begin()
    entry = run.entries[0]
    begun = time.monotonic()
    run.holder(entry)
    seconds = {"loading": time.monotonic() - begun}
    for experiment in choose_experiments():
        try:
            seconds[experiment.name] = run.measure(experiment, entry).seconds
        except Exception as error:
            print(f"{experiment.name} on {name}: {error}", file=sys.stderr)
    return seconds | judging(name, folder)


def judging(name: str, folder: Path) -> dict[str, float]:
    """Seconds that a verdict takes with everything in the store."""
    command = ["-m", "pytest", "claims", "-q", "--subject", name, "--baseline", "none"]
    subprocess.run(
        [sys.executable, *command, "--store", folder / "store", "--scorecard", folder / "out"],
        cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    records = json.loads((folder / "out" / "scorecard.json").read_text())["records"]
    return {"judging": sum(record["seconds"] for record in records) / len(records)}


def written(table: dict[str, dict[str, float]]) -> str:
    """The table as TOML, subjects in the registry's order."""
    parts = [HEAD]
    for name in (n for n in read_registry() if n in table):
        rows = [f"{key} = {value:.3g}" for key, value in table[name].items()]
        parts.append("\n".join([f"[{name}]", *rows, ""]))
    return "\n".join(parts)


def main() -> None:
    shipped = [e.name for e in read_registry().values() if e.kind in ("embedded", "control")]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--subject", action="append", choices=shipped, help="only this one")
    parser.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    table = tomllib.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for name in arguments.subject or shipped:
        with tempfile.TemporaryDirectory() as folder:
            table[name] = timed(name, Path(folder))
        arguments.out.write_text(written(table))


if __name__ == "__main__":
    main()
