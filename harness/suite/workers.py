"""Hooks for pytest-xdist, where the controlling process collects no tests but writes the scorecard."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.machine.files import ROOT
from harness.machine.placement import NoGpu, check_gpus
from harness.runs.baselines import BadOption
from harness.runs.journal import Journal, PlannedTest
from harness.suite.progress_hooks import begin_with_workers
from harness.suite.sealing import refuse_noted
from harness.suite.wiring import PROGRESS, RECORDS, SAID, get_run, print_line
from harness.suite.xdist_types import Log, Scheduler, Worker

if TYPE_CHECKING:
    from harness.suite.scheduling import ClaimsScheduling

CLAIMS = ROOT / "claims"


def pytest_configure(config: pytest.Config) -> None:
    # A worker in a dead one's place would have no GPU, and the claim that killed the first would kill it.
    if getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "0"
        # pytest-xdist would sort units by their number of tests, which says nothing about time.
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Worker) -> None:
    node.workerinput["claim_records"] = str(node.config.stash[RECORDS].absolute())


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if config.pluginmanager.hasplugin("dsession") and _asked(config):
        try:
            get_run(config).begin()
        except BadOption as error:
            raise pytest.UsageError(str(error)) from None


def _asked(config: pytest.Config) -> bool:
    """Whether claims are run, as far as the command line tells before they are collected."""
    named = any(Path(a.split("::")[0]).resolve().is_relative_to(CLAIMS) for a in config.args)
    options = ("claim_subjects", "claim_scorecard", "claim_gpu", "claim_seal")
    return named or any(config.getoption(option) for option in options)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sized) -> None:
    if config.getoption("claim_gpu"):
        import torch

        try:
            check_gpus(len(specs), torch.cuda.device_count())
        except NoGpu as error:
            raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Worker) -> None:
    refuse_noted(node.config, node.gateway.id)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Log) -> ClaimsScheduling | None:
    if config.getoption("dist") == "each":
        return None
    from harness.suite.scheduling import ClaimsScheduling

    records = config.stash[RECORDS]
    whole = config.getoption("claim_gpu")

    def read_tests() -> Mapping[str, PlannedTest]:
        found = Journal(records).read_collected()
        begin_with_workers(config, found)
        return found.tests

    return ClaimsScheduling(config, log, read_tests, whole=whole)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    said = item.config.stash.get(SAID, [])
    if said:
        # A worker's output is captured, but extra attributes of its reports reach the controlling process.
        report.__dict__.update(claims_said=list(said))
        said.clear()
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # Only in the controlling process a report has the worker that it came from.
    node: Worker | None = getattr(report, "node", None)
    if node is None:
        return
    # The report comes when the measurement is over: how far it had come is no news any more.
    said = getattr(report, "claims_said", ())
    lines, who = [x for x in said if not x.startswith("measuring ")], node.gateway.id
    progress = node.config.stash[PROGRESS]
    if progress is not None:
        progress.say(*lines, who=who)
        return
    for line in lines:
        print_line(node.config, f"  {who}: {line}")


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Scheduler) -> None:
    test = Journal(sched.config.stash[RECORDS]).read_collected().tests.get(crashitem)
    if test is not None:
        report.longrepr = (
            f"worker {report.node.gateway.id} died while judging {test.claim} on {test.subject}. A process "
            "that takes more memory than there is dies so: try fewer workers (-n) or fewer --trials. What "
            "was measured is kept, so the same command goes on from there"
        )
