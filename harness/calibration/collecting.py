"""Collect the claims of the project without judging any, and write them down as a seal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.judging.seal import save_seal
from harness.machine.files import ROOT
from harness.runs.sealing import StatedTest, gather_seal, state_tests


class SuiteFailed(RuntimeError):
    """The suite did not collect or judge all that it was asked to."""


class Interruption:
    """Plugin that remembers that somebody pressed Ctrl-C, which pytest else turns into an exit status."""

    def __init__(self) -> None:
        self.interrupted = False

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell Ctrl-C from errors of collection and from `pytest.exit`, which end a session in the same way."""
        self.interrupted = excinfo.type is KeyboardInterrupt

    def pass_on(self) -> None:
        """End what called pytest, too, if pytest was interrupted.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self.interrupted:
            raise KeyboardInterrupt


class _Collector(Interruption):
    """Plugin that keeps the tests of claims that were collected."""

    def __init__(self) -> None:
        super().__init__()
        self.tests: list[StatedTest] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tests = state_tests(session.items)


def collect_tests(files: Sequence[str] = ("claims",)) -> list[StatedTest]:
    """Collect the test of every claim under claims/, in the order of collection.

    Args:
        files: Files or folders of claims, relative to the project's root.

    Raises:
        SuiteFailed: The claims cannot be collected.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    collector = _Collector()
    quiet = ["--collect-only", "-p", "no:terminal", "--rootdir", str(ROOT)]
    status = pytest.main([*(str(ROOT / f) for f in files), *quiet], plugins=[collector])
    collector.pass_on()
    if status != pytest.ExitCode.OK:
        raise SuiteFailed(
            f"the claims cannot be collected: {status!r}; try `pytest claims --collect-only`"
        )
    return collector.tests


def write_seal(
    path: Path, *, seed: int = 0, trials: int | str | None = None, gate: bool = True
) -> str:
    """Write every claim of the project, and how it is asked, into a new file; return the digest.

    Args:
        path: The file.
        seed: Seed of all stimuli.
        trials: Trials of every experiment; each experiment's own number if None; "auto" for looks.
        gate: Whether subjects that fail the task are blocked.

    Raises:
        SuiteFailed: The claims cannot be collected.
        ValueError: The file is there already.
        OSError: It cannot be written.
    """
    seal = gather_seal(collect_tests(), seed=seed, trials=trials, gate=gate)
    save_seal(path, seal)
    return seal.digest
