"""All of the calibration: controls, null models, repeats, intervals and mutants, into one JSON."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness import __version__
from harness.calibration.mutants import check_all, mutants
from harness.calibration.runs import declared
from harness.calibration.summary import Part, add_up
from harness.experiments.store import code_hash, content_key
from harness.judging import controls
from harness.judging.claim import claims_hash
from harness.judging.record import read_json, write_json

SCHEMA = 1

PLANTED = ("planted", "planted-elsewhere")
"""Controls of which the heads of all three stages are known."""

SEEING_WRONG = tuple(
    f"{name}:{how}"
    for name in ("tiny-llava", "tiny-qwen2-vl")
    for how in ("wrong-image", "shuffled")
)
"""Trained subjects whose trials say something else than they are shown.

Not the planted one: mediation is measured on trials that are answered right, and on those few that are so by
chance its heads do what is claimed.
"""


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes:
        untrained: Seeds of untrained subjects.
        misled: Seeds of trials on subjects that are shown something else than the trial says.
        repeats: Seeds of trials on the planted subject.
        coverage: Simulated experiments behind each share of `coverage`.
        trials: Of every experiment; each experiment's own number if None.
        mutants: How many of the mutants; all if None.
    """

    untrained: int = 120
    misled: int = 3
    repeats: int = 40
    coverage: int = 4000
    trials: int | None = None
    mutants: int | None = None


SHORT = Size(untrained=1, misled=1, repeats=1, coverage=100, trials=24, mutants=1)
"""A minute or two: proof that every part runs. With so few trials many cells are inconclusive."""


def calibrate(
    size: Size,
    work: Path,
    *,
    jobs: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run every part that is not in `work` yet, and add them up.

    Args:
        size: How much.
        work: Folder of finished parts; the same command goes on there after an interruption. Parts made by
            other code, claims or sizes are not used.
        jobs: Processes, of one thread each.
        say: Receives a line for each part.

    Returns:
        The content of calibration.json; see `add_up`.
    """
    begun = time.monotonic()
    work.mkdir(parents=True, exist_ok=True)
    parts = list(_parts(size))
    paths = {part: work / f"{_key(part, size)}.json" for part in parts}
    waiting = [part for part in parts if not paths[part].exists()]
    say(f"{len(parts)} parts, {len(parts) - len(waiting)} of them done before; {jobs} at a time")
    # Read by every library that starts threads, before any of them is imported in the new processes.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_do, part, size): part for part in waiting}
        for done, future in enumerate(as_completed(futures), 1):
            part = futures[future]
            write_json(paths[part], future.result())
            spent = time.monotonic() - begun
            left = spent / done * (len(waiting) - done)
            say(
                f"{done} of {len(waiting)}: {' '.join(map(str, part))}; about {left / 60:.0f} min left"
            )
    results = {part: read_json(path) for part, path in paths.items()}
    content = add_up(results, check_all(mutants()[: size.mutants], jobs=jobs, say=say))
    spent = round(time.monotonic() - begun)
    return {**_provenance(size, spent), **content}


def _parts(size: Size) -> Iterator[Part]:
    for control in sorted({control for _, control in controls.expected()}):
        yield "table", control, 0
    for control in PLANTED:
        yield "localise", control, 0
    yield "coverage", "intervals", 0
    for seed in range(1, size.repeats + 1):
        yield "power", "planted", seed
    for seed in range(1, size.misled + 1):
        for name in SEEING_WRONG:
            yield "null", name, seed
    for seed in range(1, size.untrained + 1):
        yield "null", f"untrained:{seed}", seed


def _key(part: Part, size: Size) -> str:
    rooms = Path(__file__).resolve().parents[1]
    judging = b"".join(p.read_bytes() for p in sorted((rooms / "judging").glob("*.py")))
    claims = b"".join(p.read_bytes() for p in sorted((rooms.parent / "claims").rglob("*.py")))
    seen = {**asdict(size), "code": code_hash(), "rest": sha256(judging + claims).hexdigest()}
    # How many other parts there are changes nothing in this one.
    for count in ("untrained", "misled", "repeats", "mutants"):
        del seen[count]
    return content_key(part[0], f"{part[1]} {part[2]}", **seen)


def _do(part: Part, size: Size) -> dict[str, Any]:
    """One part, in a process of its own."""
    what, name, seed = part
    if what == "coverage":
        from harness.calibration.coverage import coverage

        return coverage(size.coverage)
    if what == "localise":
        from harness.calibration.localisation import localise

        return localise(name, trials=size.trials, seed=seed)
    from harness.calibration.runs import verdicts

    # An untrained subject never does the task: behind the gate nothing could be passed falsely.
    found = verdicts([name], seed=seed, trials=size.trials, gate=what != "null")
    return {claim: str(verdict) for (claim, _), verdict in found.items()}


def _provenance(size: Size, seconds: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "made": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "harness": __version__,
        "claims_hash": claims_hash(declared()),
        "seconds": seconds,
        "size": asdict(size),
    }
