"""The file of --junitxml has one testcase for each claim and subject, whatever plugins run tests again."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

import pytest
from junit_schemas import find_faults_for_ant, find_faults_for_jenkins
from made_up import CLAIMS, scorecard

from harness.machine.files import ROOT

RERUN = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    # As pytest-rerunfailures does it.
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in (2, 1, 0):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        failed = any(r.failed for r in reports)
        for report in reports:
            if left and report.failed:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        if not failed:
            break
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""

REPEAT = """
import pytest

@pytest.fixture
def repeated(request):
    return request.param

def pytest_generate_tests(metafunc):
    # As pytest-repeat does it.
    metafunc.fixturenames.append("repeated")
    metafunc.parametrize("repeated", range(3), indirect=True)
"""

FLAKY = CLAIMS.replace(
    "def test_unclear(judge):\n    judge(around(0.5))",
    "def test_unclear(judge, ran=[]):\n    ran.append(1)\n    judge(around(0.9 if len(ran) > 1 else 0.1))",
)


def read(pytester, name="all.xml"):
    return ET.parse(pytester.path / name).getroot()


def check_counts(root):
    suite, cases = root.find("testsuite"), list(root.iter("testcase"))
    found = {
        kind: sum(case.find(kind) is not None for case in cases)
        for kind in ("failure", "error", "skipped")
    }
    assert found == {
        "failure": int(suite.get("failures")),
        "error": int(suite.get("errors")),
        "skipped": int(suite.get("skipped")),
    }
    assert int(suite.get("tests")) == len(cases)
    return cases


@pytest.mark.parametrize("again", [None, RERUN, REPEAT], ids=["once", "rerun", "repeated"])
@pytest.mark.parametrize(
    "options", [(), pytest.param(("-n", "2"), marks=pytest.mark.deep)], ids=str
)
def test_a_claim_is_one_testcase_however_often_it_ran(run, pytester, monkeypatch, again, options):
    pytester.makepyfile(test_made_up=FLAKY)
    plugins = () if again is None else ("-p", "again")
    if again:
        pytester.makepyfile(again=again)
        pytester.syspathinsert()
        # Workers look where the process that starts them looked when it began.
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(pytester.path), str(ROOT)]))
    how = pytester.runpytest_subprocess if options else pytester.runpytest_inprocess
    run("--junitxml", "all.xml", *plugins, *options, how=how)
    cases = check_counts(read(pytester))
    records = scorecard(pytester)["records"]
    assert len(cases) == len(records) == 9
    assert len(check_counts(read(pytester, "out/scorecard.xml"))) == 9
    verdicts = {r["claim"]: r["verdict"] for r in records}
    told = {
        p["claim"]: p["verdict"]
        for case in cases
        if (p := {each.get("name"): each.get("value") for each in case.iter("property")})
    }
    # Two workers may judge one claim at the same time, and which is the last is then open.
    if again != REPEAT or not options:
        assert told == verdicts, "each has the verdict of its last run"
    if again and not options:
        assert verdicts["made_up.1.unclear"] == "supported"


def test_tests_that_are_no_claims_are_counted_as_their_plugin_has_them(run, pytester):
    pytester.makepyfile(test_own="def test_fails():\n    assert False", again=RERUN)
    pytester.syspathinsert()
    run("--junitxml", "all.xml", "-p", "again")
    names = [case.get("name") for case in read(pytester).iter("testcase")]
    assert names.count("test_fails") == 3


@pytest.mark.parametrize("again", [None, RERUN], ids=["once", "rerun"])
def test_what_jenkins_is_given_is_valid_by_its_schema(run, pytester, again):
    plugins = () if again is None else ("-p", "again")
    if again:
        pytester.makepyfile(again=again)
        pytester.syspathinsert()
    run("--junitxml", "all.xml", "--junit-schema", "jenkins", *plugins)
    assert find_faults_for_jenkins(read(pytester)) == []
    assert len(check_counts(read(pytester))) == 9
    assert find_faults_for_jenkins(read(pytester, "out/scorecard.xml")) == []
    assert find_faults_for_ant(read(pytester, "out/scorecard.xml")) == []
