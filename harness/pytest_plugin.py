"""Wiring of the suite into pytest: options, markers, fixtures, hooks. What they do is in `session`."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.judge import Judge
from harness.judging.claim import Claim
from harness.judging.verdict import Judgement, Verdict
from harness.reporting.scorecard import Scorecard
from harness.session import CALIBRATION, ROOT, BadOption, ClaimsRun, Options
from harness.subjects.anatomy import MARKERS
from harness.subjects.registry import Entry, Refused

RUN = pytest.StashKey[ClaimsRun]()
CLAIMS = ROOT / "claims"
COMPLAINT = pytest.StashKey[str]()
JUDGE = pytest.StashKey[Judge]()
RECORDS = pytest.StashKey[Path]()
SCORECARD = pytest.StashKey[Scorecard]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("claims", "claims of papers, judged on vision-language models")
    group.addoption(
        "--subject", action="append", default=[], metavar="NAME|FOLDER", dest="claim_subjects",
        help="model to judge: a name from fixtures/subjects.toml or a folder with a checkpoint; may be "
        "given several times. Default: the embedded subjects, and with --gpu the hub's",
    )  # fmt: skip
    group.addoption(
        "--family", metavar="FAMILY", dest="claim_family",
        help="architecture of a folder (else read from its config.json), or only subjects of this one",
    )  # fmt: skip
    group.addoption(
        "--gpu", action="store_true", dest="claim_gpu",
        help="run on a GPU and add the hub's subjects; an error where there is no GPU",
    )  # fmt: skip
    group.addoption(
        "--trials", type=int, metavar="N", dest="claim_trials",
        help="trials per experiment instead of each experiment's own number; fewer widen the intervals",
    )  # fmt: skip
    group.addoption(
        "--seed", type=int, default=0, metavar="N", dest="claim_seed",
        help="seed of all stimuli and draws (default 0); the same seed gives the same scorecard",
    )  # fmt: skip
    group.addoption(
        "--baseline", metavar="NAME|FILE|none", dest="claim_baseline",
        help="scorecard to compare with; default: reports/baselines/SUBJECT.json for embedded subjects",
    )  # fmt: skip
    group.addoption(
        "--scorecard", type=Path, metavar="DIR", dest="claim_scorecard",
        help="write scorecard.json, scorecard.xml, index.html and the figures into DIR",
    )  # fmt: skip
    group.addoption(
        "--store", type=Path, metavar="DIR", dest="claim_store",
        help="folder of measurements, shared between runs (default reports/store)",
    )  # fmt: skip
    group.addoption(
        "--no-gate", action="store_false", dest="claim_gate",
        help="ask every claim, even of a subject that does not do the task; for calibration: such verdicts "
        "say nothing about binding",
    )  # fmt: skip
    group.addoption(
        "--attention", choices=["sdpa", "eager"], default="sdpa", dest="claim_attention",
        help="attention implementation (default sdpa)",
    )  # fmt: skip
    group.addoption(
        "--photographs", type=Path, metavar="DIR", dest="claim_photographs",
        help="two-object photographs for section 4.2: PUG: SPAR, or your own with a manifest.csv (default "
        "data/photographs); without them those claims are not run",
    )  # fmt: skip
    group.addoption(
        "--coco", type=Path, metavar="DIR", dest="claim_coco",
        help="COCO 2017 validation images for appendix B (default data/coco); without them not run",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
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
    config.stash[RECORDS] = _records_folder(config)


def _records_folder(config: pytest.Config) -> Path:
    """Where the records of this run go; all workers of pytest-xdist write into the same folder."""
    if hasattr(config, "workerinput"):
        return Path(config.workerinput["claim_records"])
    scorecard = config.getoption("claim_scorecard")
    return (scorecard / "records") if scorecard else Path(tempfile.mkdtemp(prefix="claims-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["claim_records"] = str(node.config.stash[RECORDS].absolute())


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not config.getoption("claim_scorecard"):
        shutil.rmtree(config.stash[RECORDS], ignore_errors=True)


def _run(config: pytest.Config) -> ClaimsRun:
    """The run of this process, built when the first claim is collected."""
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


def _speaker(config: pytest.Config):
    """Prints a line of progress past the capture of output."""

    def say(line: str) -> None:
        terminal = config.pluginmanager.getplugin("terminalreporter")
        capture = config.pluginmanager.getplugin("capturemanager")
        if terminal is None:
            return
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"  {line}")

    return say


def _claim_of(item: pytest.Item) -> Claim | None:
    return getattr(getattr(item, "function", None), "claim", None)


def _entry_of(item: pytest.Item) -> Entry | None:
    spec = getattr(item, "callspec", None)
    return spec.params.get("entry") if spec else None


def pytest_sessionstart(session: pytest.Session) -> None:
    # Under pytest-xdist this process collects nothing, but it is the one that writes the scorecard.
    config = session.config
    asked = any(Path(a.split("::")[0]).resolve().is_relative_to(CLAIMS) for a in config.args)
    if config.pluginmanager.hasplugin("dsession") and asked:
        try:
            _run(config).begin()
        except BadOption as error:
            raise pytest.UsageError(str(error)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    claim: Claim | None = getattr(metafunc.function, "claim", None)
    if claim is None or "entry" not in metafunc.fixturenames:
        return
    try:
        entries = _run(metafunc.config).entries
    except BadOption as error:
        # Raised here it would be one collection error per claim; `pytest_collection` says it once.
        metafunc.config.stash[COMPLAINT] = str(error)
        entries = []
    subjects = [
        pytest.param(entry, id=entry.name, marks=[getattr(pytest.mark, m) for m in entry.markers])
        for entry in entries
    ]
    # Session scope makes pytest run all claims of one subject before the next is loaded.
    metafunc.parametrize("entry", subjects, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator:
    result = yield
    complaint = session.config.stash.get(COMPLAINT, None)
    if complaint:
        raise pytest.UsageError(complaint)
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        claim = _claim_of(item)
        if claim is not None:
            item.add_marker(getattr(pytest.mark, claim.paper))
            # So that -k finds a claim by its id as well as by its function.
            item.extra_keyword_matches.update([claim.id, *claim.id.split(".")])


def pytest_collection_finish(session: pytest.Session) -> None:
    run = session.config.stash[RUN]
    if run is not None and not session.config.getoption("collectonly"):
        if not hasattr(session.config, "workerinput"):
            try:
                run.begin()
            except BadOption as error:
                raise pytest.UsageError(str(error)) from None
        pairs = [(c, e) for i in session.items if (c := _claim_of(i)) and (e := _entry_of(i))]
        run.note_collected(pairs, os.environ.get("PYTEST_XDIST_WORKER", "main"))


@pytest.fixture(scope="session")
def entry(request: pytest.FixtureRequest) -> Entry:
    """The subject of the claim, as the registry describes it."""
    return request.param


@pytest.fixture
def judge(request: pytest.FixtureRequest, entry: Entry) -> Judge:
    """Call it with an estimate: it writes the record and ends the test as the verdict says."""
    found = Judge(_run(request.config), request.node.function.claim, entry)
    request.node.stash[JUDGE] = found
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator:
    report = yield
    claim, entry = _claim_of(item), _entry_of(item)
    if claim is None or entry is None or call.when == "teardown":
        return report
    judge = item.stash.get(JUDGE, None) or Judge(_run(item.config), claim, entry)
    if judge.record is None:
        raised = call.excinfo is not None
        if not raised and call.when == "setup":
            return report
        if not raised:
            report.outcome = "failed"
            report.longrepr = (
                "the claim's test ended without judging anything: call judge(estimate)"
            )
        if raised and isinstance(call.excinfo.value, KeyboardInterrupt):
            return report
        reason = _first_line(call.excinfo.value) if raised else report.longrepr
        judge.note(Judgement(Verdict.error, reason))
        if raised and isinstance(call.excinfo.value, Refused):
            report.longrepr = reason
    if not any(name == "claim" for name, _ in item.user_properties):
        # JUnit takes the properties of the teardown's report, which copies the item's.
        item.user_properties += list(judge.record.properties().items())
        report.user_properties = list(item.user_properties)
    return report


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'no message'}"


def pytest_report_header(config: pytest.Config) -> list[str]:
    from importlib.metadata import version

    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "nnsight"))
    return [f"claims: seed {config.getoption('claim_seed')}, {packages}"]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    run = config.stash.get(RUN, None)
    if hasattr(config, "workerinput") or run is None or not run.begun:
        return
    partial = exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
    scorecard = config.stash[SCORECARD] = run.conclude(partial=partial)
    if scorecard.red and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    scorecard = config.stash.get(SCORECARD, None)
    if scorecard is None:
        return
    from harness.reporting import calibration
    from harness.reporting.terminal import render

    terminalreporter.section("scorecard")
    for line in render(scorecard, config.stash[RUN].baselines, width=100):
        terminalreporter.write_line(line)
    said = calibration.sentence(calibration.read(CALIBRATION), scorecard)
    for line in textwrap.wrap(said, 100):
        terminalreporter.write_line(line)
    if config.stash[RUN].options.scorecard:
        terminalreporter.write_line(f"written: {config.stash[RUN].options.scorecard}/index.html")
