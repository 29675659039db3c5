"""The run of this process, built from the command line and kept on pytest's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.runs.run import Run
from harness.suite.options import read_options
from harness.suite.progress import Progress

RUN = pytest.StashKey[Run | None]()
"""The run of this process; None until it is built."""

RECORDS = pytest.StashKey[Path]()
"""Folder for the run's records."""

SAID = pytest.StashKey[list[str]]()
"""Lines of progress that a worker sends with its next report."""

PROGRESS = pytest.StashKey[Progress | None]()
"""What counts the verdicts; None until claims are collected."""


def get_run(config: pytest.Config) -> Run:
    """The run of this process, built when it is first asked for.

    Raises:
        BadOption: An option cannot be used.
    """
    run = config.stash[RUN]
    if run is None:
        options = read_options(config, config.stash[RECORDS])
        run = config.stash[RUN] = Run(options, _make_speaker(config))
    return run


def only_looks(config: pytest.Config) -> bool:
    """Whether nothing is judged, because pytest is asked to list tests or fixtures only."""
    options = ("collectonly", "showfixtures", "show_fixtures_per_test")
    return any(config.getoption(option, False) for option in options)


def _make_speaker(config: pytest.Config) -> Callable[[str], None]:
    """A function that prints a line of progress; in a worker one that keeps it for the next report."""
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
    """Print a line past pytest's capture of output; without a terminal nothing is printed."""
    terminal: pytest.TerminalReporter | None = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    if terminal is None:
        return
    with capture.global_and_fixture_disabled():
        terminal.ensure_newline()
        if terminal._tw.width_of_current_line:
            # Letters of tests in other processes begin a line without the terminal knowing it.
            terminal.line("")
        terminal.write_line(line)
