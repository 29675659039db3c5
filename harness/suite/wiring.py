"""The run of a process, built from its command line and kept with pytest's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.runs.run import Run
from harness.suite.options import options_of
from harness.suite.progress import Progress

RUN = pytest.StashKey[Run | None]()
RECORDS = pytest.StashKey[Path]()
SAID = pytest.StashKey[list[str]]()
PROGRESS = pytest.StashKey[Progress | None]()


def run_of(config: pytest.Config) -> Run:
    """The run of this process, built when it is first asked for.

    Raises:
        BadOption: An option cannot be used.
    """
    if config.stash[RUN] is None:
        options = options_of(config, config.stash[RECORDS])
        config.stash[RUN] = Run(options, _speaker(config))
    return config.stash[RUN]


def _speaker(config: pytest.Config) -> Callable[[str], None]:
    """Prints a line of progress past the capture of output; a worker keeps it for its next report."""
    if hasattr(config, "workerinput"):
        return config.stash.setdefault(SAID, []).append

    def say(line: str) -> None:
        progress = config.stash.get(PROGRESS, None)
        if progress is not None:
            progress.say(line)
        else:
            print_line(config, f"  {line}")

    return say


def print_line(config: pytest.Config, line: str) -> None:
    """Print a line past the capture of output, on a line of its own; nothing without a terminal."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    if terminal is None:
        return
    with capture.global_and_fixture_disabled():
        terminal.ensure_newline()
        if terminal._tw.width_of_current_line:
            # Letters of tests in other processes, of which the terminal does not know that a line has begun.
            terminal.line("")
        terminal.write_line(line)
