"""Run the whole calibration (controls, null models, repeats, intervals) and gather it in one JSON."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from multiprocessing import active_children, get_context
from pathlib import Path

from harness import __version__
from harness.calibration.countdown import Countdown
from harness.calibration.runs import collect_claims
from harness.calibration.seeds import SEEDS, note_verdict, read_seeds
from harness.calibration.summary import Found, Part, add_up
from harness.calibration.weakening import CURVE, SECTIONS, choose_claims, list_parts, note_step
from harness.judging import controls
from harness.judging.claim import list_asked
from harness.machine.files import ROOT, read_json, write_json
from harness.measuring.store import make_key
from harness.reporting.error_rates import SCHEMA, Content
from harness.runs.run import MEASURED_WITH
from harness.subjects.contents import take_fingerprint
from harness.subjects.registry import find, read_registry
from harness.subjects.truth import STAGES

PLANTED = ("planted", "planted-elsewhere")
"""Controls whose heads are known for all three stages."""

REPEATED = "planted"
"""The control that is judged with many seeds of trials, which tells how surely a clean mechanism is found."""

SEEING_WRONG = tuple(
    f"{name}:{how}"
    for name in ("tiny-llava", "tiny-qwen2-vl")
    for how in ("wrong-image", "shuffled")
)
"""Trained subjects that see the wrong image, or whose trials are shuffled: on them no claim can be true but
those of `TRUE_WHEN_MISLED`."""


INTERRUPTED = 130
"""Exit status of a process that is ended before its part is done, as of a command after Ctrl-C."""


class CodeMoved(RuntimeError):
    """The code changed during the calibration."""


@dataclass(frozen=True)
class Size:
    """How much a calibration runs.

    Attributes:
        untrained: How many untrained subjects, one of each seed.
        misled: How many seeds of trials on each subject that is shown something else than the trial says.
        repeats: How many seeds of trials on `REPEATED`, the scorecard's own among them; other controls are
            judged with the scorecard's own. `harness.calibration.seed_tables` repeats the taught ones.
        controls: Which controls are judged; all if None.
        coverage: How many simulated experiments for each situation of `coverage`.
        trials: Trials of every experiment; each experiment's own number if None.
        null_trials: Trials of every experiment on subjects on which no claim can be true: as many as the
            experiment with the fewest has, so that a hundred subjects can be asked. More verdicts are left
            open by them, and false passes are counted among those that are decided.
        rotation: Subjects on which no claim can be true are asked section 3 and, by seed, every
            `rotation`-th of the other files of claims, since all files would take all day.
        curves: How many seeds of trials judge each step of a stage that is turned down.
        stages: Which stages are turned down.
        sections: Of which sections the claims about them are judged.
    """

    untrained: int = 100
    misled: int = 3
    repeats: int = 20
    controls: tuple[str, ...] | None = None
    coverage: int = 4000
    trials: int | None = None
    null_trials: int = 48
    rotation: int = 3
    curves: int = 2
    stages: tuple[str, ...] = tuple(STAGES)
    sections: tuple[str, ...] = SECTIONS


SHORT = Size(
    untrained=1,
    misled=1,
    repeats=1,
    controls=("planted", "shortcut", "taught", "untrained"),
    coverage=100,
    trials=24,
    null_trials=24,
    curves=1,
    stages=("features",),
)
"""A minute or two, to prove that every part runs; with so few trials many verdicts are inconclusive."""


def calibrate(size: Size, work: Path, *, jobs: int, say: Callable[[str], None]) -> Content:
    """Run every part that is not in `work` yet, and add the parts up.

    Args:
        size: How much to run.
        work: Folder of finished parts, where the same command goes on after an interruption. Parts made by
            other code, claims, weights or versions of libraries are not used.
        jobs: How many processes run at once, of one thread each.
        say: Receives a line for each part.

    Returns:
        The content of calibration.json.

    Raises:
        CodeMoved: The code changed during the run, so that its parts come from different code.
        ValueError: reports/seeds.json is damaged.
        OSError: It cannot be read.
    """
    begun = time.monotonic()
    code = hash_code()
    claims = list_asked(collect_claims())
    # Now, so that a damaged file is told before hours of measuring.
    taught = read_seeds(SEEDS, claims)
    results = run_parts(list(_list_parts(size)), size, work, jobs=jobs, say=say)
    found = add_up(results, taught)
    return {
        "schema": SCHEMA,
        "made": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "harness": __version__,
        "claims": claims,
        "code": code,
        "seconds": round(time.monotonic() - begun),
        "size": asdict(size),
        **found,
    }


def run_parts(
    parts: Sequence[Part], size: Size, work: Path, *, jobs: int, say: Callable[[str], None]
) -> dict[Part, Found]:
    """Run those of some parts that are not in `work` yet, and return what each found; see `calibrate`.

    Raises:
        CodeMoved: The code changed meanwhile.
        KeyboardInterrupt: Somebody pressed Ctrl-C; what was being run is ended and is not kept.
    """
    work.mkdir(parents=True, exist_ok=True)
    code = hash_code()
    paths = {part: work / f"{_name_part(part, size, code)}.json" for part in parts}
    results = {part: found for part, path in paths.items() if (found := _read_finished(path))}
    waiting = [part for part in parts if part not in results]
    say(f"{len(parts)} parts, {len(results)} of them done before; {jobs} at a time")
    # The new processes inherit it, and libraries that start threads read it when they are imported.
    os.environ["OMP_NUM_THREADS"] = "1"
    countdown = Countdown(len(waiting), say)
    # Ctrl-C reaches all processes; this one alone decides, and ends the others.
    deaf = (signal.SIGINT, signal.SIG_IGN)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, initializer=signal.signal, initargs=deaf) as pool:
        futures = {pool.submit(_run_and_keep, part, size, paths[part]): part for part in waiting}
        try:
            for future in as_completed(futures):
                part = futures[future]
                results[part] = future.result()
                countdown.finish(" ".join(map(str, part)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise
    if hash_code() != code:
        raise CodeMoved("the code changed while it was calibrated: run it again")
    # Sorted by part, so that the same results make the same file.
    return {part: results[part] for part in parts}


def _read_finished(path: Path) -> Found | None:
    """What a finished part found; None if its file is missing or damaged."""
    try:
        found: Found = read_json(path)
    except (OSError, ValueError):
        return None
    return found


def _list_parts(size: Size) -> Iterator[Part]:
    # The scorecard's own seed first: it is what the table of controls is about.
    for control in sorted(size.controls or {control for _, control in controls.read_expected()}):
        yield "table", control, 0
    if size.controls is None or REPEATED in size.controls:
        for seed in range(1, size.repeats):
            yield "table", REPEATED, seed
    for seed in range(1, size.misled + 1):
        for name in SEEING_WRONG:
            yield "null", name, seed
    for seed in range(1, size.untrained + 1):
        yield "null", f"untrained:{seed}", seed
    for control in PLANTED:
        yield "localise", control, 0
    yield from list_parts(size.curves, size.stages)
    yield "coverage", "intervals", 0


def hash_code() -> str:
    """Hash everything that a part depends on besides its subject: code, claims, thresholds, versions."""
    digest = sha256()
    files = [*(ROOT / "harness").rglob("*.py"), *(ROOT / "claims").rglob("*.py")]
    for path in sorted([*files, *(ROOT / "fixtures" / "published").iterdir()]):
        # Training shows in the weights, which are hashed by themselves; reporting changes no result.
        if not {"training", "reporting"} & set(path.relative_to(ROOT).parts[:-1]):
            digest.update(str(path.relative_to(ROOT)).encode())
            digest.update(path.read_bytes())
    # This file of reporting does change verdicts: it corrects them for multiplicity.
    digest.update((ROOT / "harness" / "reporting" / "scorecard.py").read_bytes())
    digest.update(repr([(package, version(package)) for package in MEASURED_WITH]).encode())
    return digest.hexdigest()


def _name_part(part: Part, size: Size, code: str) -> str:
    """The name under which a part is kept; it changes with whatever can change what the part finds."""
    what, name, seed = part
    weights = "" if what == "coverage" else take_fingerprint(find(name, read_registry()))
    much: dict[str, int | list[str] | None] = {
        "trials": size.null_trials if what == "null" else size.trials,
        "coverage": size.coverage,
        "seed": seed,
        "rotation": size.rotation,
    }
    if what == CURVE:
        much["sections"] = list(size.sections)
    return make_key(f"{what} {name}", weights, code, **much)


def _run_and_keep(part: Part, size: Size, path: Path) -> Found:
    """Run one part in a process of its own, and write it down at once, so that no other part can lose it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = _run_part(part, size)
        write_json(path, found)
    except KeyboardInterrupt:
        # By now its temporary folders are gone; the pool would go on with the next part.
        os._exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return found


def _run_part(part: Part, size: Size) -> Found:
    what, name, seed = part
    if what == "coverage":
        from harness.calibration.coverage import coverage

        return coverage(size.coverage)
    if what == "localise":
        from harness.calibration.localisation import locate_heads

        return {**locate_heads(name, trials=size.trials, seed=seed)}
    from harness.calibration.runs import choose_files, find_verdicts, run_suite

    if what == "table":
        card = run_suite([name], seed=seed, trials=size.trials)
        return {r.claim: note_verdict(r) for r in card.records}
    if what == CURVE:
        about = choose_claims(name, size.sections)
        card = run_suite([name], claims=about, seed=seed, trials=size.trials, gate=False)
        return {r.claim: note_step(r) for r in card.records}
    # An untrained subject fails the task, so that with the gate no claim could pass falsely.
    files = choose_files(seed, size.rotation)
    verdicts = find_verdicts([name], files=files, seed=seed, trials=size.null_trials, gate=False)
    return {claim: str(verdict) for (claim, _), verdict in verdicts.items()}
