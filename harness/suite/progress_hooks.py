"""What the terminal shows while claims are judged: one line of what will happen, then how far it has come.

Pytest's letters and file names are for tests that pass; of claims most are refuted on most models, so they say
nothing. Tests that are not claims keep them, and `-v` gives claims a line each as ever.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.runs.baselines import BadOption
from harness.runs.forecast import Forecast, read_seconds
from harness.runs.journal import Collected, Journal
from harness.suite.progress import Progress
from harness.suite.wiring import PROGRESS, RECORDS, RUN, print_line, run_of

ITEMS = pytest.StashKey[int]()
"""How many tests were collected, of claims and others."""

WORKERS = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PROGRESS] = None


def begin(config: pytest.Config, found: Collected, processes: int) -> str:
    """Begin to count verdicts; gives the line that says what will happen, "" where no claim was collected."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if not found.tests or terminal is None:
        return ""
    try:
        run = run_of(config)
    except BadOption:
        # Workers say what is wrong with it.
        return ""
    elsewhere = run.device != "cpu" or run.options.remote
    forecast = Forecast(found, run.options.store, processes, {} if elsewhere else read_seconds())
    config.stash[PROGRESS] = Progress(forecast, lambda line: print_line(config, line))
    config.pluginmanager.register(_Claims(config, terminal), "claims-progress")
    if len(found.tests) == config.stash.get(ITEMS, None) and not _by_line(config):
        # Else it ends with "[100%]" to the right of nothing.
        terminal._show_progress_info = False
    return forecast.opening()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[ITEMS] = len(session.items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    if config.getoption("collectonly"):
        return []
    line = begin(config, Journal(config.stash[RECORDS]).read_collected(), processes=1)
    return [line] if line and config.get_verbosity() >= 0 else []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list) -> None:
    config.stash[WORKERS] = len(specs)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids: list[str]) -> None:
    node.config.stash[ITEMS] = len(ids)


def begin_with_workers(config: pytest.Config, found: Collected) -> None:
    """Once all workers have collected: print what will happen."""
    line = begin(config, found, processes=config.stash[WORKERS])
    if config.stash[RUN] is not None:
        # Nothing on the command line may have said that there are claims.
        config.stash[RUN].begun = True
    if line and config.get_verbosity() >= 0:
        print_line(config, line)


def _by_line(config: pytest.Config) -> bool:
    return config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) > 0


def _is_claim(config: pytest.Config, test: str) -> bool:
    progress = config.stash.get(PROGRESS, None)
    return progress is not None and test in progress.forecast.tests


class _Claims:
    """Counts claims, and keeps the names of their files from the terminal."""

    def __init__(self, config: pytest.Config, terminal: pytest.TerminalReporter) -> None:
        self.config, self.terminal = config, terminal

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logstart(self, nodeid: str) -> Iterator:
        if _by_line(self.config) or not _is_claim(self.config, nodeid):
            return (yield)
        before, self.terminal.showfspath = self.terminal.showfspath, False
        try:
            return (yield)
        finally:
            self.terminal.showfspath = before

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        over = report.when == "call" or not report.passed
        if over and _is_claim(self.config, report.nodeid):
            quiet = self.config.get_verbosity() != 0
            self.config.stash[PROGRESS].note(report.nodeid, quiet=quiet)


@pytest.hookimpl(wrapper=True)
def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> Iterator:
    status = yield
    if _by_line(config) or not _is_claim(config, report.nodeid):
        return status
    category, _, word = status
    return category, "", word
