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
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness import __version__
from harness.calibration.mutants import check_all, mutants
from harness.calibration.runs import declared
from harness.calibration.summary import Part, add_up
from harness.judging import controls
from harness.judging.claim import claims_hash
from harness.machine.files import ROOT, read_json, write_json
from harness.measuring.store import content_key
from harness.reporting.error_rates import SCHEMA
from harness.runs.run import MEASURED_WITH
from harness.subjects.registry import find, read_registry

PLANTED = ("planted", "planted-elsewhere")
"""Controls of which the heads of all three stages are known."""

SEEING_WRONG = tuple(
    f"{name}:{how}"
    for name in ("tiny-llava", "tiny-qwen2-vl")
    for how in ("wrong-image", "shuffled")
)
"""Trained subjects whose trials say something else than they are shown.
"""


class CodeMoved(RuntimeError):
    """What was calibrated is not the code that is here now."""


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
        rotation: Subjects on which no claim can be true are asked section 3 and one in so many other files
            of claims: all of them would take all day.
    """

    untrained: int = 100
    misled: int = 3
    repeats: int = 20
    coverage: int = 4000
    trials: int | None = None
    mutants: int | None = None
    rotation: int = 3


SHORT = Size(untrained=1, misled=1, repeats=1, coverage=100, trials=24, mutants=1)
"""A minute or two: proof that every part runs. With so few trials many cells are inconclusive."""


def calibrate(size: Size, work: Path, *, jobs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run every part that is not in `work` yet, and add them up.

    Args:
        size: How much.
        work: Folder of finished parts; the same command goes on there after an interruption. Parts made by
            other code, claims, weights or library versions are not used.
        jobs: Processes, of one thread each.
        say: Receives a line for each part.

    Returns:
        The content of calibration.json; see `add_up`.

    Raises:
        CodeMoved: The code changed while it ran, so that the parts are not of one piece.
    """
    begun = time.monotonic()
    work.mkdir(parents=True, exist_ok=True)
    code = _code()
    parts = list(_parts(size))
    paths = {part: work / f"{_key(part, size, code)}.json" for part in parts}
    results = {part: found for part, path in paths.items() if (found := _finished(path))}
    waiting = [part for part in parts if part not in results]
    say(f"{len(parts)} parts, {len(results)} of them done before; {jobs} at a time")
    # Read by every library that starts threads, before any of them is imported in the new processes.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_do, part, size, paths[part]): part for part in waiting}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                part = futures[future]
                results[part] = future.result()
                left = (time.monotonic() - begun) / done * (len(waiting) - done) / 60
                named = " ".join(map(str, part))
                say(f"{done} of {len(waiting)}: {named}; about {left:.0f} min left")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    # In the order of the parts, so that the same results make the same file.
    results = {part: results[part] for part in parts}
    if _code() != code:
        raise CodeMoved("the code changed while it was calibrated: run it again")
    content = add_up(results, check_all(mutants()[: size.mutants], jobs=jobs, say=say))
    return {**_provenance(size, code, round(time.monotonic() - begun)), **content}


def _finished(path: Path) -> dict[str, Any] | None:
    """What a part found; None if it is not there, or not whole."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def _parts(size: Size) -> Iterator[Part]:
    for control in sorted({control for _, control in controls.expected()}):
        yield "table", control, 0
    for seed in range(1, size.misled + 1):
        for name in SEEING_WRONG:
            yield "null", name, seed
    for seed in range(1, size.untrained + 1):
        yield "null", f"untrained:{seed}", seed
    for control in PLANTED:
        yield "localise", control, 0
    yield "coverage", "intervals", 0
    for seed in range(1, size.repeats + 1):
        yield "power", "planted", seed


def _code() -> str:
    """Hash of everything that a part depends on besides its subject: code, claims, thresholds, versions."""
    digest = sha256()
    files = [*(ROOT / "harness").rglob("*.py"), *(ROOT / "claims").rglob("*.py")]
    for path in sorted([*files, *(ROOT / "fixtures" / "published").iterdir()]):
        # How subjects were made shows in their weights, and how results are shown in nothing.
        if not {"training", "reporting"} & set(path.relative_to(ROOT).parts[:-1]):
            digest.update(str(path.relative_to(ROOT)).encode())
            digest.update(path.read_bytes())
    digest.update((ROOT / "harness" / "reporting" / "scorecard.py").read_bytes())
    digest.update(repr([(package, version(package)) for package in MEASURED_WITH]).encode())
    return digest.hexdigest()


def _key(part: Part, size: Size, code: str) -> str:
    what, name, seed = part
    weights = "" if what == "coverage" else find(name, read_registry()).fingerprint()
    much = {
        "trials": size.trials,
        "coverage": size.coverage,
        "seed": seed,
        "rotation": size.rotation,
    }
    return content_key(f"{what} {name}", weights, code, **much)


def _do(part: Part, size: Size, path: Path) -> dict[str, Any]:
    """One part, in a process of its own; written down at once, so that no other part can lose it."""
    found = _found(part, size)
    write_json(path, found)
    return found


def _found(part: Part, size: Size) -> dict[str, Any]:
    what, name, seed = part
    if what == "coverage":
        from harness.calibration.coverage import coverage

        return coverage(size.coverage)
    if what == "localise":
        from harness.calibration.localisation import localise

        return localise(name, trials=size.trials, seed=seed)
    from harness.calibration.runs import some_files, verdicts

    # An untrained subject never does the task: behind the gate nothing could be passed falsely.
    null = what == "null"
    files = some_files(seed, size.rotation) if null else ("claims",)
    found = verdicts([name], files=files, seed=seed, trials=size.trials, gate=not null)
    return {claim: str(verdict) for (claim, _), verdict in found.items()}


def _provenance(size: Size, code: str, seconds: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "made": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "harness": __version__,
        "claims_hash": claims_hash(declared()),
        "code": code,
        "seconds": seconds,
        "size": asdict(size),
    }
