"""What one run of the suite holds: which subjects, where things are written, how a claim is judged.

The plugin wires this into pytest; nothing here is a hook.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.judging import controls
from harness.judging.claim import Claim, Pair
from harness.judging.evidence import gathered, save_evidence
from harness.judging.record import (
    SCHEMA,
    Record,
    Run,
    forget_record,
    load_records,
    save_record,
)
from harness.judging.verdict import Judgement, Reading, Verdict, read_against
from harness.machine.files import write_json
from harness.measuring.measuring import Experiment, Measured, Measuring
from harness.measuring.store import Store, code_hash, stimuli_hash
from harness.reporting import deviations, error_rates
from harness.reporting.compare import Comparison, compare
from harness.reporting.scorecard import Scorecard, build
from harness.reporting.sides import (
    NotComparable,
    Side,
    evidence_beside,
    load_side,
    only_asked,
    without,
)
from harness.reporting.writing import write_pages
from harness.runs import journal
from harness.runs.baselines import (
    PUBLISHED,
    ROOT,
    BadOption,
    as_published,
    baseline_file,
    baselines_of,
)
from harness.runs.journal import Collected, Planned, Task
from harness.runs.options import Options
from harness.runs.selection import find_kept, select, spell_asked
from harness.runs.subject_holder import SubjectHolder, device_for
from harness.statistics.estimate import Estimate
from harness.statistics.looks import AUTO, at_once, begin_with
from harness.subjects.registry import Entry, Refused

if TYPE_CHECKING:
    from harness.subjects.subject import Subject

CALIBRATION = ROOT / "reports" / "calibration.json"

MEASURED_WITH = ("torch", "transformers", "nnsight", "numpy", "pillow")
"""Packages whose version is part of a measurement's name in the store."""


class ClaimsRun:
    """One run: built once per process.

    Args:
        options: From the command line.
        say: Receives lines of progress.

    Raises:
        BadOption: Any option that cannot be used, before anything is measured.
    """

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options, self.say = options, say
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self.entries = select(options)
            self.device = device_for(options.gpu)
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
            self.baselines = baselines_of(options.baseline, self.entries)
            # Read before hours of measuring, not after.
            self.before = self._named_baseline()
            self.expected = None if options.baseline == "none" else controls.expected()
        except (Refused, ValueError, RuntimeError) as error:
            raise BadOption(str(error)) from error
        except OSError as error:
            raise BadOption(
                f"{error.filename}: {error.strerror}; name a folder that can be written"
            ) from error
        self.begun = self._collected = False
        self.comparison: Comparison | None = None
        self.refusal = ""
        self._measured: dict[tuple[str, Entry, int], Measured] = {}

    @property
    def folder(self) -> Path:
        """Where this run's records go."""
        return self.options.records

    def begin(self) -> None:
        """Empty the folder of records; what was judged by an earlier run is not this run's."""
        try:
            journal.forget(self.folder)
            self.begun = True
            if kept := ", ".join(e.name for e in find_kept(self.entries, self.options)):
                asked = spell_asked(self.options)
                self.say(f"{asked}: not for {kept}: verdicts there are compared with those without")
        except OSError as error:
            raise BadOption(
                f"cannot write the scorecard to {self.folder.parent}: {error.strerror}; "
                "name another folder with --scorecard DIR"
            ) from error

    def measured(self, experiment: Experiment, entry: Entry) -> Measured:
        """The measurement of an experiment on a subject, asked for once per process."""
        if experiment.looks:
            begin_with(experiment.trials)
        else:
            at_once()
        trials = self.measuring.trials_of(experiment)
        key = (experiment.name, entry, trials)
        if key not in self._measured:
            self._measured[key] = self.measuring.measure(experiment, entry)
            if self.options.trials == AUTO:
                journal.note_asked(
                    self.folder, f"{entry.name} {experiment.name}", trials, experiment.trials
                )
        return self._measured[key]

    @property
    def saved(self) -> str:
        """What --trials auto saved, in words; empty without it."""
        if self.options.trials != AUTO:
            return ""
        asked, whole = journal.asked(self.folder)
        share = asked / max(1, whole) - 1
        word = "more" if share > 0 else "fewer"
        return (
            f"--trials auto: {asked} trials asked, looks that settled nothing included, where all are {whole} "
            f"({abs(share):.0%} {word})"
        )

    def baseline(self, claim: Claim, entry: Entry) -> Verdict | None:
        """The verdict of a claim in the baseline, or None if there is none.

        For a control it is the verdict that must come out.
        """
        # Whatever its seed, an untrained subject is untrained.
        if self._exact(entry):
            cell = self.expected.get((claim.id, entry.name.partition(":")[0]))
            return cell.verdict if cell else None
        if self.options.baseline == PUBLISHED:
            return as_published(claim, entry.name)
        record = self.baselines.get((claim.id, entry.name))
        return record.verdict if record else None

    def _exact(self, entry: Entry) -> bool:
        """Whether it is known what the claims must say of a subject, and asked whether they do."""
        return entry.kind == "control" and not entry.misled and self.expected is not None

    def record(
        self, claim: Claim, entry: Entry, judgement: Judgement, estimate: Estimate | None, **facts
    ) -> tuple[Record, Reading]:
        """Write the record of a claim, and say how it reads against the baseline."""
        before = self.baseline(claim, entry)
        record = Record.of(
            claim,
            subject=entry.name,
            family=entry.family,
            judgement=judgement,
            estimate=estimate,
            seed=self.options.seed,
            published=claim.published.get(entry.name),
            baseline=before.value if before else None,
            control=self._exact(entry),
            **facts,
        )
        save_record(self.folder, record, estimate.evidence if estimate else None)
        in_use = any(subject == entry.name for _, subject in self.baselines) or record.control
        return record, read_against(judgement.verdict, before, in_use=in_use, exact=record.control)

    def _note_subject(self, subject: Subject) -> None:
        # Where nothing is judged there is no scorecard to say it in, and perhaps no folder to write into.
        if self._collected:
            journal.note_subject(self.folder, subject.entry, subject.commit)

    def forget(self, claim: Claim, entry: Entry) -> None:
        """Take a claim's record back."""
        forget_record(self.folder, claim.id, entry.name)

    def note_collected(
        self,
        process: str,
        tasks: Mapping[str, Task],
        digest: str,
        left_out: Iterable[Pair] | None,
        planned: Iterable[Planned],
    ) -> None:
        """Write down what a process collected; see `harness.runs.planning`."""
        self._collected = True
        journal.note(self.folder, process, tasks, digest, left_out, planned)

    def conclude(self, *, partial: bool) -> Scorecard:
        """The scorecard of the records, compared with a baseline that was named.

        With --scorecard it is written there, with its evidence and its pictures.
        """
        found = journal.read(self.folder)
        run = self.facts(found, partial=partial)
        scorecard = build(run, load_records(self.folder), found.pairs)
        # Controls are held against what is known of them, whatever else is named.
        known = {entry.name for entry in self.entries if self._exact(entry)}
        if self.before is not None and len(known) < len(self.entries):
            pairs = [pair for pair in found.pairs if pair[1] not in known]
            after = without(Side("this run", scorecard, gathered(self.folder)), known)
            try:
                before = only_asked(self.before, pairs, found.left_out)
                self.comparison = compare(before, after)
            except NotComparable as refusal:
                self.refusal = str(refusal)
        if self.options.scorecard:
            known = error_rates.read(CALIBRATION)
            said = {"calibration": error_rates.sentence(known, scorecard)}
            said["deviations"] = deviations.to_json(scorecard)
            path = self.options.scorecard / "scorecard.json"
            write_json(path, {**scorecard.to_json(), **said})
            save_evidence(evidence_beside(path), gathered(self.folder))
            write_pages(scorecard, self.measuring.store, self.options.scorecard, known)
        return scorecard

    def _named_baseline(self) -> Side | None:
        named = self.options.baseline
        return None if named in (None, "none", PUBLISHED) else load_side(baseline_file(named))

    def facts(self, found: Collected, *, partial: bool) -> Run:
        """What stands at the top of the scorecard of what was journal."""
        asked = {subject for _, subject in found.pairs}
        return Run(
            schema=SCHEMA,
            claims_hash=found.digest,
            harness=__version__,
            torch=version("torch"),
            transformers=version("transformers"),
            nnsight=version("nnsight"),
            # Numbers of a server are not those of a device here, though both may be right.
            device=" + ".join(filter(None, (self.device, self.options.remote))),
            dtype=", ".join(sorted({e.dtype for e in self.entries})),
            attention=self.options.attention,
            started=self.started,
            seed=self.options.seed,
            trials=self.options.trials,
            python=platform.python_version(),
            platform=platform.platform(),
            partial=partial,
            stimuli=stimuli_hash(),
            gate=self.options.gate,
            code=code_hash(),
            subjects=journal.read_subjects(
                self.folder, [e for e in self.entries if e.name in asked]
            ),
        )
