"""The run of a process, built from its command line and kept with pytest's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.session import ClaimsRun, Options

RUN = pytest.StashKey[ClaimsRun | None]()
RECORDS = pytest.StashKey[Path]()
SAID = pytest.StashKey[list[str]]()


def run_of(config: pytest.Config) -> ClaimsRun:
    """The run of this process, built when it is first asked for.

    Raises:
        BadOption: An option cannot be used.
    """
    if config.stash[RUN] is None:
        option = config.getoption
        options = Options(
            subjects=tuple(option("claim_subjects")),
            family=option("claim_family"),
            gpu=option("claim_gpu"),
            # Deselected by -m they would only be loaded for nothing; unasked they double the time.
            controls="control" in (option("markexpr") or ""),
            gate=option("claim_gate"),
            trials=option("claim_trials"),
            seed=option("claim_seed"),
            baseline=option("claim_baseline"),
            scorecard=option("claim_scorecard"),
            records=config.stash[RECORDS],
            store=option("claim_store") or Options.store,
            attention=option("claim_attention"),
            photographs=option("claim_photographs") or Options.photographs,
            coco=option("claim_coco") or Options.coco,
        )
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
