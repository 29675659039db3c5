"""The suite, run as a person runs it, on subjects of which the right verdicts are known."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.judging.claim import Claim
from harness.judging.verdict import Verdict
from harness.machine.files import ROOT
from harness.reporting.scorecard import Pair, Scorecard
from harness.suite.plugin import CONCLUSION


class SuiteFailed(RuntimeError):
    """The suite did not judge what it was asked to judge."""


class _Catcher:
    card: Scorecard | None = None

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        concluded = config.stash.get(CONCLUSION, None)
        self.card = concluded.scorecard if concluded else None


class _Collector:
    claims: dict[str, Claim]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        functions = [getattr(item, "function", None) for item in session.items]
        self.claims = {f.claim.id: f.claim for f in functions if hasattr(f, "claim")}


def declared() -> list[Claim]:
    """Every claim under claims/, by id.

    Raises:
        SuiteFailed: The claims cannot be collected.
    """
    collector = _Collector()
    quiet = ["--collect-only", "-p", "no:terminal", "--rootdir", str(ROOT)]
    status = pytest.main([str(ROOT / "claims"), *quiet], plugins=[collector])
    if status != pytest.ExitCode.OK:
        raise SuiteFailed(
            f"the claims cannot be collected: {status!r}; try `pytest claims --collect-only`"
        )
    return [collector.claims[id] for id in sorted(collector.claims)]


def some_files(seed: int, of: int) -> list[str]:
    """The files of section 3, which every other section builds on, and every `of`-th other one, by seed.

    Over `of` seeds in a row every file occurs.
    """
    files = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "claims").rglob("test_*.py"))
    core = [f for f in files if Path(f).name.startswith("test_3_")]
    return core + [
        f for i, f in enumerate(f for f in files if f not in core) if i % of == seed % of
    ]


def scorecard(
    subjects: Sequence[str],
    *,
    files: Sequence[str] = ("claims",),
    seed: int = 0,
    trials: int | None = None,
    gate: bool = True,
) -> Scorecard:
    """The scorecard of `pytest claims` on some subjects; nothing is kept and nothing is printed.

    Args:
        subjects: As after --subject.
        files: Of claims, under the project's root.
        seed: Of all stimuli.
        trials: For every experiment; each experiment's own number if None.
        gate: Whether failing the task blocks a claim.

    Raises:
        SuiteFailed: No scorecard came of it, or it has errors or missing claims.
    """
    catcher = _Catcher()
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*(str(ROOT / f) for f in files), "--rootdir", str(ROOT), "-p", "no:terminal"]
        arguments += ["--store", folder, "--seed", str(seed), "--baseline", "none"]
        arguments += [x for name in subjects for x in ("--subject", name)]
        arguments += ["--trials", str(trials)] if trials else []
        arguments += [] if gate else ["--no-gate"]
        status = pytest.main(arguments, plugins=[catcher])
    card = catcher.card
    if card is None:
        raise SuiteFailed(f"{', '.join(subjects)}: pytest ended with {status!r} and no scorecard")
    broken = [f"{r.claim} on {r.subject}: {r.reason}" for r in card.records if r.verdict == "error"]
    broken += [f"{claim} on {subject}: no verdict" for claim, subject in card.missing]
    if broken:
        raise SuiteFailed(f"{len(broken)} claims were not judged, first {broken[0]}")
    return card


def verdicts(subjects: Sequence[str], **options) -> dict[Pair, Verdict]:
    """Verdicts by (claim, subject); the arguments are those of `scorecard`."""
    return {pair: r.verdict for pair, r in scorecard(subjects, **options).by_pair.items()}
