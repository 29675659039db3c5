"""What the terminal shows while claims are judged: first what will happen, then how far the run has come.

Pytest's letters and file names are made for tests that pass. They say nothing about claims, most of which are
refuted on most models, so claims do not show them. Other tests do, and with `-v` each claim has its usual line.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sized

import pytest

from harness.runs.baselines import BadOption
from harness.runs.forecast import Forecast, read_seconds
from harness.runs.journal import Collected, Journal
from harness.suite.progress import Progress, is_unwatched
from harness.suite.sealing import MATCHED
from harness.suite.wiring import PROGRESS, RECORDS, RUN, get_run, only_looks, print_line
from harness.suite.xdist_types import Worker

ITEMS = pytest.StashKey[int]()
"""How many tests were collected, claims and others."""

WORKERS = pytest.StashKey[int]()
"""How many workers of pytest-xdist there are."""

Status = tuple[str, str, str | tuple[str, Mapping[str, bool]]]
"""The category of a report, its letter, and its word with or without colors, as pytest wants them."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PROGRESS] = None


def begin_progress(config: pytest.Config, found: Collected, processes: int) -> str:
    """Begin to count verdicts, and return a line that says what will happen.

    Args:
        config: Configuration of pytest.
        found: What was collected.
        processes: How many processes judge.

    Returns:
        The line; "" where no claim was collected, or nothing is printed.
    """
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if not found.tests or terminal is None:
        return ""
    try:
        run = get_run(config)
    except BadOption:
        # The workers report what is wrong with it.
        return ""
    elsewhere = run.device != "cpu" or run.options.remote
    forecast = Forecast(found, run.options.store, processes, {} if elsewhere else read_seconds())
    config.stash[PROGRESS] = Progress(forecast, lambda line: print_line(config, line))
    config.pluginmanager.register(_Claims(config, terminal), "claims-progress")
    if len(found.tests) == config.stash.get(ITEMS, None) and not _by_line(config):
        # Without letters pytest would print its "[100%]" beside nothing.
        terminal._show_progress_info = False
    return forecast.opening()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[ITEMS] = len(session.items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    if only_looks(config):
        return []
    line = begin_progress(config, Journal(config.stash[RECORDS]).read_collected(), processes=1)
    return [line] if line and config.get_verbosity() >= 0 else []


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    # Where claims are judged, the scorecard says to which seal they were held.
    if only_looks(config) and (matched := config.stash.get(MATCHED, "")):
        terminalreporter.write_line(matched)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sized) -> None:
    config.stash[WORKERS] = len(specs)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Worker, ids: list[str]) -> None:
    node.config.stash[ITEMS] = len(ids)


def begin_with_workers(config: pytest.Config, found: Collected) -> None:
    """Print what will happen, once all workers have collected their tests."""
    line = begin_progress(config, found, processes=config.stash[WORKERS])
    run = config.stash[RUN]
    if run is not None:
        # It has not begun yet if nothing on the command line said that there are claims.
        run.begun = True
    if line and config.get_verbosity() >= 0:
        print_line(config, line)


def _by_line(config: pytest.Config) -> bool:
    """Whether pytest prints a line for every test."""
    return config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) > 0


def _find_progress(config: pytest.Config, test: str) -> Progress | None:
    """The progress of the run, if the test is one of those that it counts; None for tests of no claim."""
    progress = config.stash.get(PROGRESS, None)
    return progress if progress is not None and test in progress.forecast.tests else None


def _keeps_letters(config: pytest.Config, test: str) -> bool:
    """Whether the terminal shows a test in pytest's usual way."""
    return _by_line(config) or _find_progress(config, test) is None


class _Claims:
    """Hooks that count claims, and keep the names of their files from the terminal."""

    def __init__(self, config: pytest.Config, terminal: pytest.TerminalReporter) -> None:
        self.config, self.terminal = config, terminal

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logstart(self, nodeid: str) -> Generator[None, object, object]:
        if _keeps_letters(self.config, nodeid):
            return (yield)
        before, self.terminal.showfspath = self.terminal.showfspath, False
        try:
            return (yield)
        finally:
            self.terminal.showfspath = before

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        over = report.when == "call" or not report.passed
        progress = _find_progress(self.config, report.nodeid)
        if over and progress is not None:
            quiet = self.config.get_verbosity() != 0 or is_unwatched()
            progress.note(report.nodeid, quiet=quiet)


@pytest.hookimpl(wrapper=True)
def pytest_report_teststatus(
    report: pytest.TestReport, config: pytest.Config
) -> Generator[None, Status, Status]:
    status = yield
    if _keeps_letters(config, report.nodeid):
        return status
    category, _, word = status
    return category, "", word
