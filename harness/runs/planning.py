"""What a run is about to judge and to measure, written down once its claims are collected."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from harness.judging.claim import Claim, Pair, claims_hash
from harness.judging.verdict import Verdict
from harness.measuring.measuring import Experiment, Measuring
from harness.runs.journal import Planned, Task
from harness.runs.preconditions import measured_for
from harness.runs.run import ClaimsRun
from harness.statistics.looks import AUTO
from harness.subjects.registry import Entry

OF_THE_USER = ("steering", "listing")
"""Experiments that subjects of the paper's scale are asked on images of the user's own."""


class ClaimTest(NamedTuple):
    """The test of a claim on a subject: its id, and the fixtures that only some claims have."""

    id: str
    claim: Claim
    entry: Entry
    fixtures: Collection[str]

    @property
    def measured(self) -> str:
        """A key that is equal for claims that share their measurements."""
        return " ".join(sorted(self.fixtures)) or self.id.split("::")[0]


def note_collected(
    run: ClaimsRun,
    tests: Iterable[ClaimTest],
    process: str,
    left_out: Iterable[Pair] | None = (),
) -> None:
    """Write down what was collected, so that a process that dies is missed and what is left can be foretold.

    Args:
        run: Whose folder it goes into.
        tests: Of claims.
        process: Name of this process.
        left_out: Claims and subjects found and not chosen; None if only some files were looked into.
    """
    tests = list(tests)
    claims = {test.claim.id: test.claim for test in tests}
    tasks: dict[str, Task] = {}
    planned: dict[Pair, Planned] = {}
    for test in tests:
        subject, experiments = test.entry.name, _experiments(run, test)
        needs = tuple(e.name for e in experiments)
        tasks[test.id] = Task(test.claim.id, subject, test.measured, needs)
        for each in experiments:
            if (subject, each.name) not in planned:
                planned[subject, each.name] = _planned(run.measuring, each, test.entry)
    digest = claims_hash(claims.values())
    run.note_collected(process, tasks, digest, left_out, planned.values())


def _experiments(run: ClaimsRun, test: ClaimTest) -> list[Experiment]:
    expected = run.baseline(test.claim, test.entry)
    if expected is Verdict.not_run:
        return []
    fixtures = set(test.fixtures)
    if test.entry.scale != "embedded":
        fixtures -= set(OF_THE_USER)
    blocked = expected is Verdict.blocked
    return measured_for(fixtures, gate=run.options.gate, blocked=blocked and run.options.gate)


def _planned(measuring: Measuring, experiment: Experiment, entry: Entry) -> Planned:
    if measuring.trials == AUTO:
        # Where a claim is settled is known when it is.
        return Planned(entry.name, experiment.name, "", 1.0)
    share = measuring.trials_of(experiment) / experiment.trials
    return Planned(entry.name, experiment.name, key_of(measuring, experiment, entry), share)


class _Asked(Exception):
    """A measurement would now be looked for in the store, or its subject be loaded."""


class _NoStore:
    def get(self, key: str) -> None:
        raise _Asked(key)


def key_of(measuring: Measuring, experiment: Experiment, entry: Entry) -> str:
    """The name that a measurement has in the store; "" if nothing tells before the subject is loaded.

    It is the measuring code itself that is asked, up to where it would look into the store.
    """
    if entry.kind not in ("embedded", "control"):
        # To hash the weights of a large checkpoint only to foretell something takes too long.
        return ""

    def load(entry: Entry) -> None:
        raise _Asked("")

    asking = Measuring(
        _NoStore(),
        load,
        trials=measuring.trials,
        seed=measuring.seed,
        setting=measuring.setting,
        gate=measuring.gate,
        say=measuring.say,
    )
    try:
        asking.measure(experiment, entry)
    except _Asked as asked:
        return str(asked)
    raise AssertionError("a measurement came from nowhere")
