"""Run the suite as a person runs it, on subjects whose right verdicts are known."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import pytest

from harness.calibration.collecting import Interruption, SuiteFailed, collect_tests
from harness.judging.claim import Claim, Pair
from harness.judging.evidence import load_folder_evidence
from harness.judging.verdict import Verdict
from harness.machine.files import ROOT
from harness.measuring.batches import divide_batches
from harness.reporting.scorecard import Scorecard
from harness.reporting.sides import Side
from harness.statistics.evidence import Evidence
from harness.suite.plugin import CONCLUSION
from harness.suite.wiring import RECORDS


class Setting(TypedDict, total=False):
    """How the suite is run; see `run_side`."""

    files: Sequence[str]
    claims: Collection[str] | None
    seed: int
    trials: int | None
    gate: bool


@dataclass(frozen=True)
class Serving:
    """How a model is run: what changes no function, and may change how it is rounded.

    Attributes:
        name: What it is called.
        attention: "sdpa" or "eager".
        divisor: What the usual numbers of trials in a batch are divided by.
        dtype: Precision of a folder or a model of the hub; its own if None.
        gpu: Whether it runs on a GPU.
    """

    name: str
    attention: str = "sdpa"
    divisor: int = 1
    dtype: str | None = None
    gpu: bool = False

    def spell(self) -> list[str]:
        """The options of pytest that ask for it; batches have none."""
        told = ["--attention", self.attention]
        return told + (["--dtype", self.dtype] if self.dtype else []) + ["--gpu"] * self.gpu


AS_USUAL = Serving("as usual")


class _Catcher(Interruption):
    """Plugin that keeps the scorecard of a run, and its evidence before it is removed."""

    def __init__(self) -> None:
        super().__init__()
        self.card: Scorecard | None = None
        self.evidence: dict[Pair, Evidence] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.evidence = load_folder_evidence(session.config.stash[RECORDS])

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        concluded = config.stash.get(CONCLUSION, None)
        self.card = concluded.scorecard if concluded else None


class _Chooser:
    """Plugin that leaves out all claims but some, by id."""

    def __init__(self, claims: Collection[str]) -> None:
        self.claims = claims

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if (c := _find_claim(item)) and c.id in self.claims]


def _find_claim(item: pytest.Item) -> Claim | None:
    """The claim that a test judges; None for any other test."""
    claim = getattr(getattr(item, "function", None), "claim", None)
    return claim if isinstance(claim, Claim) else None


def collect_claims(files: Sequence[str] = ("claims",)) -> list[Claim]:
    """Collect every claim under claims/, sorted by id.

    Args:
        files: Files or folders of claims, relative to the project's root.

    Raises:
        SuiteFailed: The claims cannot be collected.
    """
    claims = {test.claim.id: test.claim for test in collect_tests(files)}
    return [claims[id] for id in sorted(claims)]


def choose_files(seed: int, of: int) -> list[str]:
    """Choose the files of section 3, on which all others build, and every `of`-th of the other files, by seed.

    Over `of` seeds in a row every file occurs.
    """
    files = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "claims").rglob("test_*.py"))
    core = [f for f in files if Path(f).name.startswith("test_3_")]
    return core + [
        f for i, f in enumerate(f for f in files if f not in core) if i % of == seed % of
    ]


def run_suite(subjects: Sequence[str], **setting: Unpack[Setting]) -> Scorecard:
    """Run `pytest claims` on some subjects and return its scorecard; nothing is kept and nothing is printed.

    See `run_side`, which returns its evidence, too.
    """
    return run_side(subjects, **setting).card


def run_side(
    subjects: Sequence[str],
    *,
    files: Sequence[str] = ("claims",),
    claims: Collection[str] | None = None,
    seed: int = 0,
    trials: int | None = None,
    gate: bool = True,
    serving: Serving = AS_USUAL,
    store: Path | None = None,
) -> Side:
    """Run `pytest claims` on some subjects, and return what can be compared; nothing is printed.

    Args:
        subjects: Names or folders, as after --subject.
        files: Files or folders of claims, relative to the project's root.
        claims: Ids of the claims in them that are judged; all if None.
        seed: Seed of all stimuli.
        trials: Trials of every experiment; each experiment's own number if None.
        gate: Whether failing the task blocks a claim.
        serving: How the subjects are run.
        store: Folder in which measurements are kept; none is if not given. The size of batches is not part of
            a measurement's name, so that each serving needs its own.

    Raises:
        SuiteFailed: The run made no scorecard, or one with errors or missing claims.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    catcher = _Catcher()
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*(str(ROOT / f) for f in files), "--rootdir", str(ROOT), "-p", "no:terminal"]
        arguments += ["--store", str(store or folder), "--seed", str(seed), "--baseline", "none"]
        arguments += [x for name in subjects for x in ("--subject", name)]
        arguments += ["--trials", str(trials)] if trials else []
        arguments += [*serving.spell(), *([] if gate else ["--no-gate"])]
        chooser = [] if claims is None else [_Chooser(claims)]
        with divide_batches(serving.divisor):
            status = pytest.main(arguments, plugins=[catcher, *chooser])
    catcher.pass_on()
    card = catcher.card
    if card is None:
        raise SuiteFailed(f"{', '.join(subjects)}: pytest ended with {status!r} and no scorecard")
    broken = [f"{r.claim} on {r.subject}: {r.reason}" for r in card.records if r.verdict == "error"]
    broken += [f"{claim} on {subject}: no verdict" for claim, subject in card.missing]
    if broken:
        raise SuiteFailed(f"{len(broken)} claims were not judged, first {broken[0]}")
    return Side(", ".join(subjects), card, catcher.evidence)


def find_verdicts(subjects: Sequence[str], **setting: Unpack[Setting]) -> dict[Pair, Verdict]:
    """Run the suite as `run_suite` does, and return the verdicts by (claim, subject)."""
    return {pair: r.verdict for pair, r in run_suite(subjects, **setting).by_pair.items()}
