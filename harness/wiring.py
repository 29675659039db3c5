"""The run of a process, built from its command line and kept with pytest's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.options import options_of
from harness.session import ClaimsRun

RUN = pytest.StashKey[ClaimsRun | None]()
RECORDS = pytest.StashKey[Path]()
SAID = pytest.StashKey[list[str]]()


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
    """Prints a line of progress past the capture of output; a worker keeps it for its next report."""
    if hasattr(config, "workerinput"):
        return config.stash.setdefault(SAID, []).append

    def say(line: str) -> None:
        terminal = config.pluginmanager.getplugin("terminalreporter")
        capture = config.pluginmanager.getplugin("capturemanager")
        if terminal is None:
            return
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"  {line}")

    return say
