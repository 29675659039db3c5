"""Hooks for the file of --junitxml: a claim is one testcase, however often a plugin has run its test.

Plugins that run failed tests again (pytest-rerunfailures, flaky) or all tests several times (pytest-repeat)
give pytest a testcase each time. A claim has the verdict of its last run, and so has its testcase.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from _pytest.junitxml import LogXML, xml_key

from harness.runs.journal import Journal
from harness.suite.wiring import RECORDS

OWNERS = pytest.StashKey[dict[int, str]]()
"""Of the configuration: from the number of a testcase in pytest's list to the id of its test."""


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    xml = session.config.stash.get(xml_key, None)
    owners: dict[int, str] = {}
    session.config.stash[OWNERS] = owners
    if xml is None:
        return
    session.config.pluginmanager.register(_Noting(xml, owners))
    if session.config.getoption("claim_junit") == "jenkins":
        xml.family = "xunit2"


class _Noting:
    """A plugin that notes whose each testcase is; a report does not know the configuration."""

    def __init__(self, xml: LogXML, owners: dict[int, str]) -> None:
        self.xml, self.owners = xml, owners

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, object]:
        before = len(self.xml.node_reporters_ordered)
        result = yield
        for number in range(before, len(self.xml.node_reporters_ordered)):
            self.owners[number] = report.nodeid
        return result


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    xml = config.stash.get(xml_key, None)
    if xml is None or hasattr(config, "workerinput") or RECORDS not in config.stash:
        return
    tests = Journal(config.stash[RECORDS]).read_collected().tests
    latest: dict[tuple[str, str], int] = {}
    surplus: list[int] = []
    for number, test in sorted(config.stash[OWNERS].items()):
        if test in tests:
            pair = tests[test].claim, tests[test].subject
            if pair in latest:
                surplus.append(latest[pair])
            latest[pair] = number
    if surplus:
        kept = enumerate(xml.node_reporters_ordered)
        xml.node_reporters_ordered = [case for number, case in kept if number not in surplus]
        _count_again(xml)


def _count_again(xml: LogXML) -> None:
    """Count the testcases that are left by what became of each; one may have failed and broken, too."""
    xml.stats = dict.fromkeys(xml.stats, 0)
    xml.cnt_double_fail_tests = 0
    for case in xml.node_reporters_ordered:
        element = case.to_xml()
        kinds = [kind for kind in ("failure", "error", "skipped") if element.find(kind) is not None]
        for kind in kinds or ["passed"]:
            xml.stats[kind] += 1
        xml.cnt_double_fail_tests += max(0, len(kinds) - 1)
