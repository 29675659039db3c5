"""The run of a process, built from its command line and kept with pytest's configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.options import options_of
from harness.session import ClaimsRun

RUN = pytest.StashKey[ClaimsRun | None]()
RECORDS = pytest.StashKey[Path]()


def run_of(config: pytest.Config) -> ClaimsRun:
    """The run of this process, built when it is first asked for.

    Raises:
        BadOption: An option cannot be used.
    """
    if config.stash[RUN] is None:
        options = options_of(config, config.stash[RECORDS])
        config.stash[RUN] = ClaimsRun(options, _speaker(config))
    return config.stash[RUN]


def _speaker(config: pytest.Config) -> Callable[[str], None]:
    """Prints a line of progress past the capture of output."""

    def say(line: str) -> None:
        terminal = config.pluginmanager.getplugin("terminalreporter")
        capture = config.pluginmanager.getplugin("capturemanager")
        worker = getattr(config, "workerinput", {}).get("workerid")
        if terminal is None and worker is None:
            return
        with capture.global_and_fixture_disabled():
            if terminal is None:
                # A worker of pytest-xdist has no terminal, and talks to the controller on its standard output.
                print(f"\n  {worker}: {line}", end="", file=sys.stderr, flush=True)
                return
            terminal.ensure_newline()
            terminal.write_line(f"  {line}")

    return say
