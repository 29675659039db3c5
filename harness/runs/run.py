"""A run of the suite as one of its processes has it: options, subjects, measurements and the baseline.

Nothing here is a hook; `harness.suite.plugin` wires it into pytest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.judging import controls
from harness.judging.claim import Claim, find_of_subject
from harness.judging.record import Record, forget_record, load_records, save_record
from harness.judging.seal import read_seal
from harness.judging.verdict import Judgement, Standing, Verdict, compare_verdict
from harness.machine.placement import WORKER
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measured, Measuring
from harness.measuring.store import Store
from harness.reporting.sides import Side
from harness.runs.baselines import (
    PUBLISHED,
    BadOption,
    load_baselines,
    load_named_side,
    read_published,
)
from harness.runs.journal import Journal
from harness.runs.options import Options
from harness.runs.selection import find_kept, select, spell_asked
from harness.runs.subject_holder import SubjectHolder, choose_device
from harness.statistics.estimate import Estimate
from harness.statistics.looks import ALL_TRIALS, AUTO, Look
from harness.subjects.contents import FolderChanged
from harness.subjects.reading_ahead import read_ahead
from harness.subjects.registry import Entry, Refused

if TYPE_CHECKING:
    from harness.subjects.subject import Subject

MEASURED_WITH = ("torch", "transformers", "tokenizers", "nnsight", "numpy", "scipy", "pillow")
"""Packages whose version is part of a measurement's name in the store."""


class Run:
    """One run of the suite; each of its processes builds this once.

    Args:
        options: What the run is asked to do.
        say: Is called with lines of progress.

    Raises:
        BadOption: An option cannot be used; this is found before anything is measured.
    """

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options, self.say = options, say
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.journal = Journal(options.records)
        try:
            self.entries = select(options)
            self.device = choose_device(options.gpu)
            self.holder = SubjectHolder(
                self.device, options.attention, say, options.remote, self._note_subject
            )
            self.measuring = Measuring(
                Store(options.store, say),
                self.holder,
                trials=options.trials,
                seed=options.seed,
                setting={
                    "device": self.device,
                    "attention": options.attention,
                    **{package: version(package) for package in MEASURED_WITH},
                    **({"remote": options.remote} if options.remote else {}),
                },
                say=say,
                gate=options.gate,
            )
            self.baselines = load_baselines(options.baseline, self.entries)
            # Read now, so that a bad file is refused before hours of measuring.
            self.before: Side | None = load_named_side(options.baseline)
            if options.strict and self.before is None:
                raise BadOption(
                    "--strict-heads: there is no run whose heads must stay; name one with --baseline"
                )
            self.seal = read_seal(options.seal) if options.seal else None
            self.expected = None if options.baseline == "none" else controls.read_expected()
        except (Refused, ValueError, RuntimeError) as error:
            raise BadOption(str(error)) from error
        except OSError as error:
            raise BadOption(
                f"{error.filename}: {error.strerror}; name a folder that can be written"
            ) from error
        for entry in self.entries:
            # From here on its folder must stay as it is.
            self.measuring.check_unchanged(entry)
        self.begun = self.judges = False
        self._measured: dict[tuple[Experiment, Entry, int], Measured] = {}

    def begin(self) -> None:
        """Empty the folder of records, and say which subjects some options do not change.

        Raises:
            BadOption: The folder cannot be written.
        """
        try:
            self.journal.begin()
        except OSError as error:
            raise BadOption(
                f"cannot write the scorecard to {self.journal.folder.parent}: {error.strerror}; "
                "name another folder with --scorecard DIR"
            ) from error
        self.begun = True
        if kept := ", ".join(e.name for e in find_kept(self.entries, self.options)):
            asked = spell_asked(self.options)
            self.say(
                f"{asked}: not applied to {kept}, whose verdicts are compared with those found without it"
            )

    def measure(self, experiment: Experiment, entry: Entry, look: Look = ALL_TRIALS) -> Measured:
        """The measurement of an experiment on a subject; each process makes or reads it once."""
        self.measuring.check_unchanged(entry)
        trials = self.measuring.count_trials(experiment, entry, look)
        key = (experiment, entry, trials)
        if key not in self._measured:
            self._measured[key] = self.measuring.measure(experiment, entry, look)
            if self.options.trials == AUTO:
                measured = f"{entry.name} {experiment.name}"
                whole = experiment.count_trials(entry.scale)
                self.journal.note_asked(measured, trials, whole)
        return self._measured[key]

    def find_baseline(self, claim: Claim, entry: Entry) -> Verdict | None:
        """The verdict of a claim on a subject in the baseline, or None if it has none.

        For a control it is the verdict that the claim must give.
        """
        if self.expected is not None and self.is_exact(entry):
            # The part after ":" is a seed or a variant, and all of them must give the same.
            cell = self.expected.get((claim.id, entry.name.partition(":")[0]))
            return cell.verdict if cell else None
        if self.options.baseline == PUBLISHED:
            return read_published(claim, entry.name)
        record = self.baselines.get((claim.id, entry.name))
        return record.verdict if record else None

    def is_exact(self, entry: Entry) -> bool:
        """Whether every claim must give a known verdict on this subject, which is so for a whole control."""
        changed = entry.misled or entry.weakened or entry.quantised
        whole = entry.kind == "control" and not changed
        return whole and self.expected is not None

    def record(
        self,
        claim: Claim,
        entry: Entry,
        judgement: Judgement,
        estimate: Estimate | None,
        look: Look,
        *,
        measurement: str | None,
        seconds: float,
    ) -> tuple[Record, Standing]:
        """Write the record of a claim, and return it with how it stands against the baseline.

        Args:
            claim: What was judged.
            entry: The subject.
            judgement: The verdict and its reason.
            estimate: What it rests on; None if nothing was estimated.
            look: The look at which it was measured.
            measurement: The measurement's name in the store; None if nothing was measured.
            seconds: How long measuring and judging took.
        """
        before = self.find_baseline(claim, entry)
        record = Record.of(
            claim,
            subject=entry.name,
            family=entry.family,
            judgement=judgement,
            estimate=estimate,
            seed=self.options.seed,
            published=find_of_subject(claim.published, entry.name, None),
            baseline=before.value if before else None,
            control=self.is_exact(entry),
            look=look,
            measurement=measurement,
            seconds=seconds,
        )
        save_record(self.journal.folder, record, estimate.evidence if estimate else None)
        in_use = any(subject == entry.name for _, subject in self.baselines) or record.control
        # A control's table has verdicts as a scorecard has them, and correction over all claims may still turn
        # this one to inconclusive. If it does not, the scorecard is red.
        waits = record.control and record.p_value is not None and before is Verdict.inconclusive
        waits = waits and judgement.verdict is Verdict.supported
        told = Verdict.inconclusive if waits else judgement.verdict
        return record, compare_verdict(told, before, in_use=in_use, exact=record.control)

    def forget(self, claim: Claim, entry: Entry) -> None:
        """Delete the record of a claim on a subject, if there is one."""
        forget_record(self.journal.folder, claim.id, entry.name)

    def refuse_changed(self) -> None:
        """Turn every verdict on a subject whose folder changed while the run was on into an error."""
        for entry in self.entries:
            try:
                self.measuring.check_unchanged(entry)
            except FolderChanged as changed:
                for record in load_records(self.journal.folder):
                    if record.subject == entry.name and record.verdict is not Verdict.error:
                        refused = replace(record, verdict=Verdict.error, reason=str(changed))
                        save_record(self.journal.folder, refused)

    def _note_subject(self, subject: Subject) -> None:
        # Workers share subjects out among themselves, and none knows which one it gets next.
        if WORKER not in os.environ:
            for now, later in pairwise(self.entries):
                if now.name == subject.name:
                    read_ahead(later)
        # Where nothing is judged there is no scorecard that would say it, and perhaps no folder.
        if self.judges:
            self.journal.note_subject(subject.entry, subject.commit)
