"""The fixture `judge`: it gives readings of experiments, and turns an estimate into a record and an outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import xarray as xr

from harness.experiments.catalogue import find_gate
from harness.judging.claim import Claim
from harness.judging.record import Record
from harness.judging.verdict import Judgement, Outcome, Standing, Verdict, decide
from harness.measuring.experiment import Experiment
from harness.readings.reading import Reading
from harness.readings.visual_symbols.behaviour import Behaviour
from harness.reporting.wording import plain
from harness.runs.run import Run
from harness.runs.tasks import tell_failed_task
from harness.statistics.estimate import Estimate
from harness.statistics.looks import ALL_TRIALS, Look
from harness.stimuli.photographs import NoData
from harness.subjects.registry import CannotAsk, Entry, OnlyHere


@dataclass
class Judge:
    """Judges one claim on one subject; the fixture `judge` of a claim test.

    Attributes:
        run: The run that the test belongs to.
        claim: What is judged.
        entry: The subject.
        look: The look at which experiments are measured, read and judged.
        measurement: Store key of what was measured last; None before.
        record: What was concluded; None before.
        standing: How that stands against the baseline; None before.
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
        self._looked = False

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute; the look stays once something was measured at it.

        Raises:
            AttributeError: An interval of another level than that of the trials would decide.
        """
        if name == "look" and getattr(self, "_looked", False):
            raise AttributeError(
                "judge.look cannot change once something was measured: its trials are of that look"
            )
        object.__setattr__(self, name, value)

    def __call__(self, estimate: Estimate) -> None:
        """Judge an estimate against the claim's threshold; the verdict decides how the test ends."""
        if not isinstance(estimate, Estimate):
            raise TypeError(
                f"judge takes an Estimate, as the methods of readings give; this is {estimate!r}"
            )
        judgement = decide(estimate, self.claim.threshold, self.entry.name, self.look)
        self.conclude(judgement, estimate)

    def measure(self, experiment: Experiment) -> Reading:
        """The reading of an experiment on the subject; where the claim cannot be asked, the test ends here.

        It ends as blocked if the subject surely fails the task that the experiment requires, before anything
        expensive is measured, or the task on the experiment's own trials, where these tell; and as not run
        where images of the user's are missing.
        """
        if experiment.own_images and self.entry.scale != "embedded":
            asked = self._find_own_images(experiment)
        else:
            self.require(experiment)
            asked = experiment
        found = self._read(asked)
        accuracy = found.task_accuracy()
        if accuracy is not None:
            self._block_below(experiment, _name_task(experiment, asked), accuracy, self.look)
        return found

    def require(self, experiment: Experiment) -> None:
        """End the test as blocked if the subject surely fails the task that an experiment builds on."""
        gate = find_gate(experiment)
        if gate is not None and experiment.requires is not None and self.run.options.gate:
            # The task is always judged on all trials, at whatever look --trials auto judges the claim.
            found = Behaviour(self._measured(gate, ALL_TRIALS))
            accuracy = found.accuracy(experiment.requires)
            self._block_below(experiment, experiment.requires, accuracy, ALL_TRIALS)

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
        """With `--trials auto`, the next look that may change the verdict; None if the verdict stands."""
        found = self.record
        if found is None:
            return None
        return self.look.find_next(found.verdict, self._p_value, has_value=found.n > 0)

    @property
    def concluded(self) -> Record:
        """The record of what was concluded.

        Raises:
            LookupError: Nothing was concluded yet.
        """
        if self.record is None:
            raise LookupError(f"{self.claim.id}: nothing was concluded yet")
        return self.record

    def message(self) -> str:
        """The verdict, what it rests on and what it is compared with, for a person who reads a failure.

        Raises:
            LookupError: Nothing was concluded yet.
        """
        record, threshold = self.concluded, self.claim.threshold
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
        # Names and reasons come from whoever made the subject, and pytest prints them as they are.
        return plain("\n".join(lines))

    def _find_own_images(self, experiment: Experiment) -> Experiment:
        """The experiment on the user's images; where these are missing, the test ends here."""
        try:
            images = experiment.on_images(getattr(self.run.options, experiment.own_images))
        except NoData as missing:
            self.conclude(Judgement(Verdict.not_run, str(missing)))
        return images

    def _read(self, experiment: Experiment) -> Reading:
        reading = experiment.load_reading()
        self._looked = True
        return reading(self._measured(experiment, self.look), self.look)

    def _measured(self, experiment: Experiment, look: Look) -> xr.Dataset:
        try:
            found = self.run.measure(experiment, self.entry, look)
        except OnlyHere as missing:
            self.conclude(Judgement(Verdict.not_run, str(missing)))
        except CannotAsk as refusal:
            self.conclude(Judgement(Verdict.blocked, str(refusal)))
        self.measurement = found.key
        return found.data

    def _block_below(
        self, experiment: Experiment, task: str, accuracy: Estimate, look: Look
    ) -> None:
        """End the test as blocked if the subject surely does worse than asked, or cannot be read."""
        reason = tell_failed_task(experiment, task, accuracy, self.entry.name, look)
        if self.run.options.gate and reason:
            self.conclude(Judgement(Verdict.blocked, reason))


def _name_task(experiment: Experiment, asked: Experiment) -> str:
    """What the task of an experiment is called in messages, from how it was declared and as it was asked."""
    if asked is not experiment:
        return experiment.own_images
    return experiment.requires or experiment.name


def choose_look(look: Look, experiments: list[Experiment], scale: str) -> Look:
    """The look at which a claim begins: the first one that has enough trials in each of its experiments.

    Args:
        look: The earliest look that may be chosen.
        experiments: All experiments of the claim. If there are some and none has looks, all trials are used.
        scale: That of the subject (see `Entry`), which may have more trials.
    """
    looked = [e for e in experiments if e.looks]
    if experiments and not looked:
        return ALL_TRIALS
    for experiment in looked:
        look = look.skip_to(experiment.count_trials(scale))
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
