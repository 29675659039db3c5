"""Copy the repository so that it may be broken, and run the copy's tests in a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from harness.machine.files import ROOT

COPIED = ("harness", "tests", "claims", "conftest.py", "pyproject.toml")
"""Files and folders that a copy may change."""

LINKED = ("fixtures",)
"""Folders that a copy only reads, and shares with the repository."""

LONGEST = 300.0
"""Seconds after which a run of tests is given up."""

PRELOADED = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llava.modeling_llava",
    "transformers.models.qwen2_vl.modeling_qwen2_vl",
    "nnsight",
    "scipy.stats",
    "xarray",
    "h5netcdf",
    "pandas",
    "hypothesis",
    "pytest",
)
"""Modules that most tests import and no copy changes; importing them takes seven seconds, spent once."""

_ELSEWHERE = 70
# Every run of tests is a fork of one process that has imported what no copy changes, and nothing of the copy.
# The fork checks that it tests the copy: tests of an installed package would pass whatever the copy says.
_PROGRAM = f"""
import importlib, json, os, sys
from pathlib import Path
for name in {PRELOADED}:
    importlib.import_module(name)
if any(name.split(".")[0] in ("harness", "tests") for name in sys.modules):
    sys.exit({_ELSEWHERE})
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        printed = os.open(asked["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(printed, stream)
        status = {_ELSEWHERE}
        try:
            import harness
            import pytest
            if Path(harness.__file__).resolve().is_relative_to(Path.cwd().resolve()):
                status = int(pytest.main(asked["arguments"]))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class UnsoundTests(RuntimeError):
    """The tests fail on code that nobody broke, or cannot be run, so that they cannot show a mistake."""


@dataclass(frozen=True)
class RanTests:
    """How a run of tests ended.

    Attributes:
        status: Pytest's exit status; None if the run was given up.
        printed: What pytest printed.
    """

    status: int | None
    printed: str

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of the tests that failed; empty if the tests could not be collected or a fixture broke."""
        if self.status != 1:
            return ()
        lines = [line for line in self.printed.splitlines() if line.startswith("FAILED ")]
        return tuple(line.removeprefix("FAILED ").split(" - ")[0] for line in lines)

    @property
    def end(self) -> str:
        """Pytest's status and the last line that it printed."""
        return f"pytest's status is {self.status}: {(self.printed.splitlines() or [''])[-1]}"


class Copy:
    """A copy of the repository, with a process whose forks run its tests.

    Args:
        folder: Where the copy goes; the folder must not exist.
        root: The repository to copy.

    Raises:
        NotSound: `root` is not the whole repository: an installed package has no tests.
    """

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        missing = [name for name in (*COPIED, *LINKED) if not (root / name).exists()]
        if missing:
            raise UnsoundTests(
                f"{root} has no {', '.join(missing)}: the whole repository is needed"
            )
        self.folder = folder
        folder.mkdir(parents=True)
        for name in COPIED:
            if (root / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(root / name, folder / name, ignore=ignored)
            else:
                shutil.copy2(root / name, folder / name)
        for name in LINKED:
            try:
                (folder / name).symlink_to(root / name, target_is_directory=True)
            except OSError:
                shutil.copytree(root / name, folder / name)
        self._parent: subprocess.Popen[str] | None = None

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process whose forks run the tests, and any run that is going on."""
        if self._parent is not None:
            _kill(self._parent)
            self._parent.communicate()
            self._parent = None

    @contextmanager
    def changed(self, file: str, text: str) -> Iterator[None]:
        """Put another text into one file of the copy, and restore the file afterwards."""
        path = self.folder / file
        before = path.read_text(encoding="utf-8")
        path.write_text(text, encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    def run(self, tests: Sequence[str]) -> RanTests:
        """Run tests of the copy on the copy's code until one fails.

        Args:
            tests: Node ids or files, from the root of the repository.

        Raises:
            NotSound: Another harness than this copy would be tested.
        """
        printed = self.folder.with_suffix(".printed")
        arguments = ["-x", "-q", "--color=no", "-p", "no:cacheprovider", *tests]
        asked = json.dumps({"arguments": arguments, "printed": str(printed)})
        parent = self._parent = self._parent or self._start()
        given_up = Timer(LONGEST, _kill, [parent])
        given_up.start()
        try:
            answer = _ask(parent, asked)
        finally:
            given_up.cancel()
        status = int(answer) if answer else parent.wait()
        if not answer:
            self.close()
        if status == -signal.SIGKILL:
            return RanTests(None, f"killed, or still running after {LONGEST:.0f} s")
        if status == _ELSEWHERE:
            raise UnsoundTests(f"not the copy in {self.folder} would be tested but another harness")
        return RanTests(status, printed.read_text(errors="replace") if answer else "")

    def _start(self) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        # Plugins that happen to be installed could reorder tests or make them fail in other ways. Byte code
        # would be reused after a change of the same length within the same second. Two threads each, which
        # some tests ask for, would make several runs at once many times slower. With CI set, Hypothesis
        # tries the same examples in every run.
        environment = kept | {
            "PYTHONPATH": str(self.folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "OMP_THREAD_LIMIT": "1",
            "CI": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def require_sound(self, tests: Sequence[str]) -> None:
        """Check that the tests pass on the copy as it is.

        Raises:
            NotSound: A test fails or cannot be run; the message ends with what pytest printed.
        """
        run = self.run(tests)
        if run.status != 0:
            raise UnsoundTests(f"with nothing broken, {run.end}\n{run.printed[-2000:]}")


def _ask(parent: subprocess.Popen[str], line: str) -> str:
    """Write a line to the process and read its answer; "" if the process has ended."""
    if parent.stdin is None or parent.stdout is None:
        raise UnsoundTests("the process that runs the tests was started without pipes")
    with suppress(BrokenPipeError):
        parent.stdin.write(line + "\n")
        parent.stdin.flush()
    return parent.stdout.readline().strip()


def _kill(parent: subprocess.Popen[str]) -> None:
    # Its forks belong to its process group.
    with suppress(ProcessLookupError):
        os.killpg(parent.pid, signal.SIGKILL)
