"""Hooks for the folders of a run: that of its records, and that of --scorecard, which one run has at a time."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from harness.runs.baselines import BadOption
from harness.runs.folder import ScorecardFolder, refuse_own_baseline
from harness.suite.options import spell_command_line
from harness.suite.wiring import RECORDS, only_looks, print_line

FOLDER = pytest.StashKey[ScorecardFolder | None]()
"""Of the configuration: the folder of --scorecard; None without one, and in workers of pytest-xdist."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FOLDER] = None
    if hasattr(config, "workerinput"):
        # All workers of pytest-xdist write into the same one.
        config.stash[RECORDS] = Path(config.workerinput["claim_records"])
        return
    scorecard: Path | None = config.getoption("claim_scorecard")
    if scorecard is None:
        config.stash[RECORDS] = Path(tempfile.mkdtemp(prefix="claims-"))
        return
    folder = ScorecardFolder(scorecard, lambda line: print_line(config, f"  {line}"))
    config.stash[FOLDER], config.stash[RECORDS] = folder, folder.records


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    # Before anything is collected: a claim that cannot be imported must not leave an older scorecard there.
    folder = session.config.stash[FOLDER]
    if folder is None or only_looks(session.config):
        return
    try:
        refuse_own_baseline(session.config.getoption("claim_baseline"), folder.path)
        folder.begin(spell_command_line(session.config))
    except BadOption as error:
        raise pytest.UsageError(str(error)) from None


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(FOLDER, None)
    if folder is not None:
        folder.release()
    elif not hasattr(config, "workerinput") and RECORDS in config.stash:
        shutil.rmtree(config.stash[RECORDS], ignore_errors=True)
