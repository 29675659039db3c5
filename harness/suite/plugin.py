"""The suite as a plugin of pytest: markers, hooks and the fixture `judge`. Hooks call `harness.runs`."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.junitxml import xml_key
from _pytest.runner import runtestprotocol

from harness.experiments.catalogue import EXPERIMENTS
from harness.judging.claim import Claim, Pair
from harness.judging.verdict import Judgement, Verdict
from harness.machine.files import ROOT
from harness.machine.memory import clear_frames
from harness.reporting.wording import tell_partial
from harness.runs.baselines import BadOption
from harness.runs.conclusion import Conclusion, FolderLost, conclude
from harness.runs.journal import Journal
from harness.runs.planning import ClaimTest, note_collected
from harness.statistics.looks import ALL_TRIALS, AUTO, Look
from harness.subjects.anatomy import MARKERS
from harness.subjects.registry import Entry, Refused
from harness.suite.judge import Judge, choose_look
from harness.suite.options import pytest_addoption, refuse_without_checkout
from harness.suite.sealing import refuse_unsealed
from harness.suite.summary import print_summary
from harness.suite.wiring import RECORDS, RUN, get_run, only_looks

pytest_plugins = [
    "harness.suite.contents_hooks",
    "harness.suite.fixtures",
    "harness.suite.folder_hooks",
    "harness.suite.junit_hooks",
    "harness.suite.progress_hooks",
    "harness.suite.workers",
]

__all__ = ["pytest_addoption"]

CLAIMS = ROOT / "claims"

COMPLAINT = pytest.StashKey[str]()
"""Of the configuration: why the options cannot be used."""

FOUND = pytest.StashKey[set[Pair]]()
"""Of the configuration: claims and subjects that were found, chosen or not."""

CONCLUSION = pytest.StashKey[Conclusion]()
"""Of the configuration: what the run found."""

JUDGE = pytest.StashKey[Judge | None]()
"""Of an item: its latest judge."""

LOOK = pytest.StashKey[Look]()
"""Of an item: the look at which it is judged."""


def pytest_configure(config: pytest.Config) -> None:
    refuse_without_checkout()
    markers = {
        "embedded": "subjects that ship with the project",
        "control": "subjects whose mechanism is known: run with -m control",
        "visual_symbols": "claims of Assouel et al. 2026",
        "dual_mechanisms": "claims of Cui et al. 2026",
        "reproduction": "what the deviations of the public reproduction change",
    }
    for marker in dict.fromkeys(MARKERS.values()):
        families = [family for family, known in MARKERS.items() if known == marker]
        markers[marker] = f"subjects of the family {' or '.join(families)}"
    for name, meaning in markers.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.stash[RUN] = None
    config.stash[FOUND] = set()


def _claim_of(item: pytest.Item) -> Claim | None:
    """The claim that a test is about; None for any other test."""
    return getattr(getattr(item, "function", None), "claim", None)


def _entry_of(item: pytest.Item) -> Entry | None:
    """The subject that a test is run on; None for a test without one."""
    spec = getattr(item, "callspec", None)
    return spec.params.get("entry") if spec else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    claim: Claim | None = getattr(metafunc.function, "claim", None)
    if claim is None or "entry" not in metafunc.fixturenames:
        return
    try:
        entries = get_run(metafunc.config).entries
    except BadOption as error:
        # Raised here it would be a collection error of every claim; `pytest_collection` raises it once.
        metafunc.config.stash[COMPLAINT] = str(error)
        entries = []
    subjects = [
        pytest.param(entry, id=entry.name, marks=[getattr(pytest.mark, m) for m in entry.markers])
        for entry in entries
    ]
    # With session scope pytest runs all claims of one subject before those of the next.
    metafunc.parametrize("entry", subjects, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    result = yield
    complaint = session.config.stash.get(COMPLAINT, None)
    if complaint:
        raise pytest.UsageError(complaint)
    return result


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    known = {line.partition(":")[0] for line in config.getini("markers")}
    for item in items:
        claim = _claim_of(item)
        if claim is not None:
            if claim.paper not in known:
                # Of a paper that nobody has registered: its name is a marker all the same.
                config.addinivalue_line("markers", f"{claim.paper}: claims of {claim.paper}")
                known.add(claim.paper)
            item.add_marker(getattr(pytest.mark, claim.paper))
            # So that -k finds a claim by its id as well as by the name of its function.
            item.extra_keyword_matches.update([claim.id, *claim.id.split(".")])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    # First of all, since pytest-xdist then calls the scheduler, which reads what is noted here.
    config, process = session.config, os.environ.get("PYTEST_XDIST_WORKER", "main")
    looks = only_looks(config)
    try:
        # Where no claim was found there is no run yet, and a seal says that there are claims.
        run = get_run(config) if config.getoption("claim_seal") else config.stash[RUN]
        if run is None:
            return
        if not looks and not hasattr(config, "workerinput"):
            run.begin()
    except BadOption as error:
        raise pytest.UsageError(str(error)) from None
    tests = [
        ClaimTest(i.nodeid, c, e, set(i.fixturenames) - {"judge", "entry", "request"})
        for i in session.items
        if isinstance(i, pytest.Function) and (c := _claim_of(i)) and (e := _entry_of(i))
    ]
    asked = [(test.claim.id, test.entry.name) for test in tests]
    # Not what pytest says that it deselected: a plugin may shorten the list without a word.
    left_out = config.stash[FOUND] - set(asked)
    refuse_unsealed(session, run, asked, sorted(left_out), process)
    if not looks:
        try:
            note_collected(run, tests, process, None if _is_narrowed(config.args) else left_out)
        except OSError as error:
            # Nothing was judged, so that the end of the session has nothing to conclude.
            run.begun = False
            raise pytest.UsageError(f"{run.journal.folder} cannot be written: {error}") from None


def pytest_itemcollected(item: pytest.Item) -> None:
    claim, entry = _claim_of(item), _entry_of(item)
    if claim is not None and entry is not None:
        item.config.stash[FOUND].add((claim.id, entry.name))


def _is_narrowed(args: list[str]) -> bool:
    """Whether only some of the files of claims are searched for tests."""
    paths = [Path(a.partition("::")[0]).resolve() for a in args]
    return any("::" in a for a in args) or any(p.is_file() or CLAIMS in p.parents for p in paths)


@pytest.fixture(scope="session")
def entry(request: pytest.FixtureRequest) -> Entry:
    """The subject of the claim, as the registry describes it."""
    return request.param


@pytest.fixture
def judge(request: pytest.FixtureRequest, entry: Entry) -> Judge:
    """The judge of one claim on one subject; called with an estimate, it ends the test as the verdict says."""
    experiments = [e for e in EXPERIMENTS if e.name in request.fixturenames]
    look = choose_look(request.node.stash.get(LOOK, ALL_TRIALS), experiments, entry.scale)
    found = Judge(get_run(request.config), request.node.function.claim, entry, look)
    request.node.stash[JUDGE] = found
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    claim, entry = _claim_of(item), _entry_of(item)
    if item.config.getoption("claim_trials") != AUTO or claim is None or entry is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    look: Look | None = Look(0)
    while look is not None:
        item.user_properties.clear()
        # So that a claim that is killed between two looks has no verdict, instead of an early one.
        get_run(item.config).forget(claim, entry)
        item.stash[JUDGE], item.stash[LOOK] = None, look
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        judge = item.stash[JUDGE]
        # Without a judge a fixture broke, and would break again.
        after = judge.find_next_look() if judge else None
        # A claim that chose its look itself must not be asked again at an earlier one.
        look = after if after and look.comes_before(after) else None
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # A plugin may run a test a second time, which then has nothing of the first.
    if _claim_of(item) is not None:
        item.stash[JUDGE] = None
        item.user_properties.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    claim, entry = _claim_of(item), _entry_of(item)
    if claim is None or entry is None or call.when == "teardown":
        return report
    judge = item.stash.get(JUDGE, None) or Judge(get_run(item.config), claim, entry)
    raised = None if call.excinfo is None else call.excinfo.value
    if judge.record is None:
        if isinstance(raised, KeyboardInterrupt) or (raised is None and call.when == "setup"):
            return report
        if raised is None:
            reason = "the claim's test ended without judging anything: call judge(estimate)"
            report.outcome, report.longrepr = "failed", reason
        else:
            reason = _first_line(raised)
        try:
            judge.note(Judgement(Verdict.error, reason))
        except OSError as error:
            # A full disk takes no record of it either. A claim without one is missing, and fails the run.
            report.outcome, report.longrepr = "failed", f"its record cannot be written: {error}"
            return report
        if isinstance(raised, Refused):
            report.longrepr = reason
    if raised is not None and not item.config.getoption("usepdb"):
        # The report has the error as text; only a debugger would want its frames.
        clear_frames(raised)
    unnoted = not any(name == "claim" for name, _ in item.user_properties)
    if unnoted and item.config.getoption("claim_junit") == "pytest":
        # JUnit takes the properties of the teardown's report, which copies the item's.
        item.user_properties += list(judge.concluded.properties().items())
        report.user_properties = list(item.user_properties)
    return report


def _first_line(error: BaseException) -> str:
    """The first line of an error's message, after its class if it is not one of ours."""
    text = str(error).strip().splitlines()
    if text and isinstance(error, Refused):
        return text[0]
    if isinstance(error, pytest.FixtureLookupError):
        known = ", ".join(e.name for e in EXPERIMENTS if e.reading)
        return f"there is no fixture {error.argname!r}; experiments are: {known}"
    return f"{type(error).__name__}: {text[0] if text else 'no message'}"


def pytest_report_header(config: pytest.Config) -> list[str]:
    from importlib.metadata import version

    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "nnsight"))
    return [f"claims: seed {config.getoption('claim_seed')}, {packages}"]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    if hasattr(config, "workerinput"):
        return
    run = config.stash.get(RUN, None)
    if (
        run is None
        and RECORDS in config.stash
        and Journal(config.stash[RECORDS]).read_collected().tests
    ):
        # Workers found claims, though nothing on the command line said that there are any.
        run = get_run(config)
        run.begun = True
    if run is None or not run.begun:
        return
    interrupted = exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
    try:
        found = config.stash[CONCLUSION] = conclude(run, interrupted=interrupted)
    except FolderLost as lost:
        pytest.exit(str(lost), returncode=pytest.ExitCode.TESTS_FAILED)
    except OSError as error:
        if run.options.scorecard is None:
            raise
        told = f"--scorecard {run.options.scorecard}: not written ({error}); the same command again goes on"
        pytest.exit(f"{told} from what is measured already", pytest.ExitCode.TESTS_FAILED)
    xml, partial = config.stash.get(xml_key, None), tell_partial(found.scorecard.run)
    if xml is not None and partial:
        xml.add_global_property("partial", partial)
    if (found.scorecard.red or found.lost) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, object, object]:
    # The outermost wrapper, so that the output ends with the scorecard, not with a list of failures.
    result = yield
    run, found = config.stash.get(RUN, None), config.stash.get(CONCLUSION, None)
    if run is not None and found is not None:
        print_summary(terminalreporter, run, found)
    return result
