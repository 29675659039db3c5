"""The fixture `judge`: from an estimate to a record and to how the test ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from harness.judging.claim import Claim
from harness.judging.record import Record
from harness.judging.verdict import Judgement, Outcome, Reading, decide
from harness.runs.run import ClaimsRun
from harness.statistics.estimate import Estimate
from harness.statistics.looks import next_look
from harness.subjects.registry import Entry


@dataclass
class Judge:
    """Judges one claim on one subject; the fixture `judge` of a claim test.

    Attributes:
        run: The run it belongs to.
        claim: What is judged.
        entry: The subject.
        measurement: Store key of what was measured, set by the experiment fixtures.
        record: What was concluded, or None before.
    """

    run: ClaimsRun
    claim: Claim
    entry: Entry
    measurement: str | None = None
    record: Record | None = None
    reading: Reading | None = None

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self._p_value: float | None = None

    def __call__(self, estimate: Estimate) -> None:
        """Judge an estimate against the claim's threshold; the verdict decides how the test ends."""
        self.conclude(decide(estimate, self.claim.threshold, self.entry.name), estimate)

    def conclude(self, judgement: Judgement, estimate: Estimate | None = None) -> None:
        """Write the record and end the test as the verdict and the baseline say."""
        self.note(judgement, estimate)
        ending = _ENDINGS[self.reading.outcome]
        ending(self.message())

    def note(self, judgement: Judgement, estimate: Estimate | None = None) -> None:
        """Write the record without ending the test."""
        limit = self.claim.threshold.for_subject(self.entry.name)
        if estimate is not None and estimate.value is not None:
            self._p_value = estimate.p_value(limit, self.claim.threshold.direction)
        self.record, self.reading = self.run.record(
            self.claim,
            self.entry,
            judgement,
            estimate,
            measurement=self.measurement,
            seconds=round(time.monotonic() - self.begun, 3),
        )

    @property
    def next_look(self) -> int | None:
        """With `--trials auto`, the look that may change the verdict; None if it stands."""
        found = self.record
        return next_look(found.verdict, self._p_value, has_value=found.n > 0) if found else None

    def message(self) -> str:
        """Verdict, what it rests on and what it is compared with, for a person reading a failure."""
        record, threshold = self.record, self.claim.threshold
        value = threshold.for_subject(self.entry.name)
        lines = [
            f"{record.verdict}: {self.claim.statement}",
            f"  {record.reason}",
            f"  threshold: {threshold.direction} {value:g} {threshold.unit} ({threshold.origin})",
            f"  source: {self.claim.source}; subject: {self.entry.name}",
        ]
        if record.control:
            wanted = record.baseline or "missing: say there what this claim must give, and why"
            lines.append(f"  expected of this control in fixtures/controls.toml: {wanted}")
        elif record.baseline:
            lines.append(f"  baseline: {record.baseline}")
        return "\n".join(lines)


def _pass(message: str) -> None:
    return None


def _fail(message: str) -> None:
    pytest.fail(message, pytrace=False)


def _xfail(message: str) -> None:
    pytest.xfail(message)


def _skip(message: str) -> None:
    pytest.skip(message)


_ENDINGS: dict[Outcome, Callable[[str], None]] = {
    Outcome.passed: _pass,
    Outcome.failed: _fail,
    Outcome.xfailed: _xfail,
    Outcome.skipped: _skip,
    Outcome.error: _fail,
}
