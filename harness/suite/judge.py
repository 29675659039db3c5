"""The fixture `judge`: from an experiment to its reading, from an estimate to a record and a test that ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import xarray as xr

from harness.experiments.catalogue import find_gate
from harness.judging.claim import Claim, Threshold, above
from harness.judging.record import Record
from harness.judging.verdict import Judgement, Outcome, Standing, Verdict, decide
from harness.measuring.experiment import Experiment
from harness.readings.reading import Reading
from harness.readings.visual_symbols.behaviour import Behaviour
from harness.runs.run import Run
from harness.statistics.estimate import Estimate
from harness.statistics.looks import ALL_TRIALS, Look
from harness.stimuli.photographs import NoData
from harness.subjects.registry import Entry, OnlyHere


@dataclass
class Judge:
    """Judges one claim on one subject; the fixture `judge` of a claim test.

    Attributes:
        run: The run it belongs to.
        claim: What is judged.
        entry: The subject.
        look: At which look its experiments are measured, read and judged.
        measurement: Store key of what was measured, or None before.
        record: What was concluded, or None before.
        standing: How that stands against the baseline, or None before.
    """

    run: Run
    claim: Claim
    entry: Entry
    look: Look = ALL_TRIALS
    measurement: str | None = None
    record: Record | None = None
    standing: Standing | None = None

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self._p_value: float | None = None

    def __call__(self, estimate: Estimate) -> None:
        """Judge an estimate against the claim's threshold; the verdict decides how the test ends."""
        judgement = decide(estimate, self.claim.threshold, self.entry.name, self.look)
        self.conclude(judgement, estimate)

    def measure(self, experiment: Experiment) -> Reading:
        """The reading of an experiment on the subject; where a claim cannot be asked, the test ends here.

        It is blocked if the subject surely fails the task that the experiment requires, before anything
        expensive is measured, and not run where images of the user's are missing.
        """
        if experiment.own_images and self.entry.scale != "embedded":
            return self._measure_own_images(experiment)
        self.require(experiment)
        return self._read(experiment)

    def require(self, experiment: Experiment) -> None:
        """End the test as blocked if the subject surely fails the task that an experiment builds on."""
        gate = find_gate(experiment)
        if gate is not None and experiment.requires is not None and self.run.options.gate:
            # A precondition is settled before the claim is looked at, whatever --trials auto asks of the claim.
            found = Behaviour(self._measured(gate, ALL_TRIALS))
            self._block_below(experiment, experiment.requires, found.accuracy(experiment.requires))

    def conclude(self, judgement: Judgement, estimate: Estimate | None = None) -> None:
        """Write the record and end the test as the verdict and the baseline say."""
        standing = self.note(judgement, estimate)
        ending = _ENDINGS[standing.outcome]
        ending(self.message())

    def note(self, judgement: Judgement, estimate: Estimate | None = None) -> Standing:
        """Write the record without ending the test."""
        limit = self.claim.threshold.for_subject(self.entry.name)
        if estimate is not None and estimate.value is not None:
            self._p_value = estimate.p_value(limit, self.claim.threshold.direction)
        self.record, self.standing = self.run.record(
            self.claim,
            self.entry,
            judgement,
            estimate,
            self.look,
            measurement=self.measurement,
            seconds=round(time.monotonic() - self.begun, 3),
        )
        return self.standing

    def find_next_look(self) -> Look | None:
        """With `--trials auto`, the look that may change the verdict; None if it stands."""
        found = self.record
        if found is None:
            return None
        return self.look.find_next(found.verdict, self._p_value, has_value=found.n > 0)

    def message(self) -> str:
        """Verdict, what it rests on and what it is compared with, for a person reading a failure.

        Raises:
            LookupError: Nothing was concluded yet.
        """
        record, threshold = self.record, self.claim.threshold
        if record is None:
            raise LookupError(f"{self.claim.id}: nothing was concluded yet")
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

    def _measure_own_images(self, experiment: Experiment) -> Reading:
        """The reading on the user's images, on which the subject must do the task as well."""
        folder = getattr(self.run.options, experiment.own_images)
        try:
            on_images = experiment.on_images(folder)
        except NoData as missing:
            self.conclude(Judgement(Verdict.not_run, str(missing)))
        found = self._read(on_images)
        accuracy = found.task_accuracy()
        if accuracy is not None:
            self._block_below(experiment, experiment.own_images, accuracy)
        return found

    def _read(self, experiment: Experiment) -> Reading:
        reading = experiment.load_reading()
        return reading(self._measured(experiment, self.look), self.look)

    def _measured(self, experiment: Experiment, look: Look) -> xr.Dataset:
        try:
            found = self.run.measure(experiment, self.entry, look)
        except OnlyHere as missing:
            self.conclude(Judgement(Verdict.not_run, str(missing)))
        self.measurement = found.key
        return found.data

    def _block_below(self, experiment: Experiment, task: str, accuracy: Estimate) -> None:
        judgement = decide(accuracy, task_threshold(experiment), self.entry.name)
        if self.run.options.gate and judgement.verdict is Verdict.refuted:
            reason = f"the subject does not do the task ({task}): {judgement.reason}"
            self.conclude(Judgement(Verdict.blocked, reason))


def task_threshold(experiment: Experiment) -> Threshold:
    """How well a subject must do the task of an experiment to be asked what it says of binding."""
    return above(
        experiment.least,
        unit="share right",
        origin="chosen by us",
        note="below the 0.688 of LLaVA-1.5-7B on nine objects, the weakest subject the paper reports on",
    )


def choose_look(look: Look, experiments: list[Experiment]) -> Look:
    """The look at which a claim on some experiments begins, none of which it could hardly do with fewer trials.

    Args:
        look: The first that may be.
        experiments: All that the claim is about; where none has looks, it is judged by all trials.
    """
    looked = [e for e in experiments if e.looks]
    if experiments and not looked:
        return ALL_TRIALS
    for experiment in looked:
        look = look.skip_to(experiment.trials)
    return look


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
