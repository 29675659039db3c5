"""Put mistakes that would make the suite wrong into copies of the code, and check that the tests find them.

The list is data: `mutants.toml` beside this file. A mutant puts one text in place of another in a copy of the
repository, whose tests must then fail. A mutant that no longer fits the code is an error, since it would say
nothing about the tests.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from harness.calibration.copies import Copy
from harness.machine.files import ROOT

LIST = Path(__file__).with_suffix(".toml")
"""The file that lists the mutants."""


class StaleMutant(ValueError):
    """A mutant does not fit the code, which has changed since the mutant was written."""


@dataclass(frozen=True)
class Mutant:
    """One mistake that can be put into the code.

    Attributes:
        name: What the mistake is, in words; different for each mutant.
        file: Path of the file, from the root of the repository.
        old: Text that stands in the file exactly once.
        new: Text that is put in its place.
        why: What would be wrong if nobody noticed.
        tests: Node ids or files of tests; at least one must fail.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The file's text with the mistake in it.

        Raises:
            StaleMutant: The old text does not stand there exactly once, or the changed file is not Python.
        """
        times = text.count(self.old)
        if times != 1:
            raise StaleMutant(
                f"mutant {self.name!r}: its text is found {times} times in {self.file}, not once; "
                f"bring {LIST.name} up to date"
            )
        mutated = text.replace(self.old, self.new)
        try:
            compile(mutated, self.file, "exec")
        except SyntaxError as error:
            message = f"mutant {self.name!r}: {self.file} is no longer Python: {error}"
            raise StaleMutant(message) from error
        return mutated


@dataclass(frozen=True)
class Result:
    """What became of one mutant.

    Attributes:
        mutant: The mutant.
        by: Id of the first test that failed; empty if none did.
        end: How its tests ended, in words.
        seconds: How long its tests took.
    """

    mutant: Mutant
    by: str
    end: str
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether a test failed; a test that could not be collected does not count."""
        return bool(self.by)

    def __str__(self) -> str:
        fate = f"caught by {self.by}" if self.caught else f"NOT CAUGHT, {self.end}"
        return f"{self.mutant.name}: {fate}"


def mutants(path: Path = LIST) -> list[Mutant]:
    """Read the list of mutants, in the file's order.

    Raises:
        ValueError: A mutant lacks a field or has an unknown one, has no tests, or has the name of another.
    """
    found: list[Mutant] = []
    for number, row in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))["mutant"], 1):
        which = f"{path.name}: mutant {row.get('name', number)}"
        try:
            mutant = Mutant(**{**row, "tests": tuple(row["tests"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"{which}: {error}") from error
        if not mutant.tests:
            raise ValueError(f"{which}: no tests")
        if any(m.name == mutant.name for m in found):
            raise ValueError(f"{which}: another has this name")
        found.append(mutant)
    return found


def check_mutant(mutant: Mutant) -> Result:
    """Check one mutant; see `check_mutants`."""
    return check_mutants([mutant])[0]


def check_mutants(
    chosen: Sequence[Mutant] | None = None,
    *,
    jobs: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Check several mutants at once; without a mutant, all their tests must pass.

    Args:
        chosen: The mutants; the whole list if not given.
        jobs: How many run at once at most, each in a copy; as many as there are cores if not given.
        say: Receives a line for each mutant that is done.

    Returns:
        One result for each mutant, in order.

    Raises:
        StaleMutant: A mutant does not fit the code; nothing was run.
        harness.calibration.copies.NotSound: A test fails without a mutant, or cannot be run.
    """
    chosen = mutants() if chosen is None else chosen
    for mutant in chosen:
        mutant.applied((ROOT / mutant.file).read_text(encoding="utf-8"))
    # One run more than there are mutants: the one without a mutant.
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(chosen) + 1)
    free: SimpleQueue[Copy] = SimpleQueue()

    @contextmanager
    def borrow_copy() -> Iterator[Copy]:
        copy = free.get()
        try:
            yield copy
        finally:
            free.put(copy)

    def require_sound() -> None:
        with borrow_copy() as copy:
            copy.require_sound(list(dict.fromkeys(t for m in chosen for t in m.tests)))

    def check_one(mutant: Mutant) -> Result:
        with borrow_copy() as copy:
            result = _run_tests(mutant, copy)
        say(f"{result.seconds:5.1f} s  {result}")
        return result

    with (
        TemporaryDirectory(prefix="mutants-") as folder,
        ExitStack() as copies,
        ThreadPoolExecutor(jobs) as pool,
    ):
        for number in range(jobs):
            free.put(copies.enter_context(Copy(Path(folder) / str(number))))
        sound = pool.submit(require_sound)
        results = [pool.submit(check_one, mutant) for mutant in chosen]
        try:
            sound.result()
            return [result.result() for result in results]
        finally:
            pool.shutdown(cancel_futures=True)


def _run_tests(mutant: Mutant, copy: Copy) -> Result:
    text = (copy.folder / mutant.file).read_text(encoding="utf-8")
    begun = time.monotonic()
    with copy.changed(mutant.file, mutant.applied(text)):
        run = copy.run(mutant.tests)
    return Result(mutant, next(iter(run.failed), ""), run.end, time.monotonic() - begun)
