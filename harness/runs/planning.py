"""The plan of a run: what it is about to judge and to measure, noted once its claims are collected."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from harness.experiments.catalogue import DRAFTS, EXPERIMENTS, list_measured
from harness.judging.claim import Claim, Pair, claims_hash
from harness.judging.verdict import Verdict
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.runs.journal import PlannedMeasurement, PlannedTest
from harness.runs.run import Run
from harness.statistics.looks import AUTO
from harness.subjects.pinning import is_pinned
from harness.subjects.registry import Entry


class ClaimTest(NamedTuple):
    """The test of a claim on a subject.

    Attributes:
        id: Id of the test.
        claim: The claim.
        entry: The subject.
        fixtures: Names of its fixtures, but for those that every claim has.
    """

    id: str
    claim: Claim
    entry: Entry
    fixtures: Collection[str]

    @property
    def measured(self) -> str:
        """A string that is equal for claims that share their measurements."""
        return " ".join(sorted(self.fixtures)) or self.id.split("::")[0]


def note_collected(
    run: Run,
    tests: Iterable[ClaimTest],
    process: str,
    left_out: Iterable[Pair] | None = (),
) -> None:
    """Write down what was collected, so that missing verdicts are noticed and the time left can be estimated.

    Args:
        run: The run in whose journal it is noted.
        tests: The tests of claims.
        process: Name of this process.
        left_out: Claims and subjects that were found and not chosen; None if only some files were searched.
    """
    tests = list(tests)
    claims = {test.claim.id: test.claim for test in tests}
    planned_tests: dict[str, PlannedTest] = {}
    planned: dict[Pair, PlannedMeasurement] = {}
    for test in tests:
        subject, experiments = test.entry.name, _list_experiments(run, test)
        needs = tuple(e.name for e in experiments)
        planned_tests[test.id] = PlannedTest(test.claim.id, subject, test.measured, needs)
        for each in experiments:
            if (subject, each.name) not in planned:
                planned[subject, each.name] = _plan(run.measuring, each, test.entry)
    run.judges = True
    digest = claims_hash(claims.values())
    run.journal.note_collected(process, planned_tests, digest, left_out, planned.values())


def _list_experiments(run: Run, test: ClaimTest) -> list[Experiment]:
    """The experiments that a claim measures, as far as is known before it runs, in their order."""
    expected = run.find_baseline(test.claim, test.entry)
    if expected is Verdict.not_run:
        return []
    gate, found = run.options.gate, dict[str, Experiment]()
    for experiment in (*EXPERIMENTS, *DRAFTS):
        # Whether there are images of the user's, for subjects of the paper's scale, is not known here.
        own = experiment.own_images and test.entry.scale != "embedded"
        if experiment.name in test.fixtures and not own:
            blocked = gate and expected is Verdict.blocked
            for each in list_measured(experiment, gate=gate, blocked=blocked):
                found[each.name] = each
    return list(found.values())


def _plan(measuring: Measuring, experiment: Experiment, entry: Entry) -> PlannedMeasurement:
    if measuring.trials == AUTO:
        # How many trials settle a claim is known only once it is settled.
        share = experiment.count_trials(entry.scale) / experiment.trials
        return PlannedMeasurement(entry.name, experiment.name, "", share)
    # Seconds are known for the number of trials that the subjects that ship have.
    share = measuring.count_trials(experiment, entry) / experiment.trials
    return PlannedMeasurement(
        entry.name, experiment.name, predict_key(measuring, experiment, entry), share
    )


def predict_key(measuring: Measuring, experiment: Experiment, entry: Entry) -> str:
    """The name that a measurement will have in the store; "" if it is known only once the subject is loaded."""
    # Checkpoints of the user's are left out, too: hashing large weights takes too long for a forecast.
    ships = entry.kind in ("embedded", "control")
    if not ships or not is_pinned(entry) or entry.arrangement == "auto":
        return ""
    return measuring.find_key(experiment, entry)
