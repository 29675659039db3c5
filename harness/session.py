"""What one run of the suite holds: which subjects, where things are written, how a claim is judged.

The plugin wires this into pytest; nothing here is a hook.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from harness import __version__, collected
from harness.collected import Task
from harness.experiments.measuring import Experiment, Measured, Measuring
from harness.experiments.store import Store
from harness.judging import controls
from harness.judging.claim import Claim, claims_hash
from harness.judging.record import SCHEMA, Record, Run, load_records, save_record, write_json
from harness.judging.stats import Estimate
from harness.judging.verdict import Judgement, Reading, Verdict, read_against
from harness.reporting import calibration, deviations
from harness.reporting.scorecard import Pair, Scorecard, build, load_baseline
from harness.reporting.writing import write_pages
from harness.subjects.registry import Entry, Refused, UnknownSubject, find, read_registry
from harness.workers import SubjectHolder, device_for

ROOT = Path(__file__).resolve().parents[1]
BASELINES = ROOT / "reports" / "baselines"
CALIBRATION = ROOT / "reports" / "calibration.json"

MEASURED_WITH = ("torch", "transformers", "nnsight", "numpy", "pillow")
"""Packages whose version is part of a measurement's name in the store."""


class BadOption(ValueError):
    """An option cannot be used; the message says what was expected and what to try."""


@dataclass(frozen=True)
class Options:
    """What was asked on the command line.

    Attributes:
        subjects: Names or folders; all that fit if empty.
        family: Architecture of folders, or a filter on the registry.
        gpu: Run on a GPU and include the hub's subjects.
        controls: Include the controls.
        gate: Block claims of which the subject fails the task; without it they are asked all the same.
        trials: For every experiment; each experiment's own number if None.
        seed: Of all stimuli.
        baseline: Name, path, "none", or None for the committed ones of the embedded subjects. Controls are
            read against the table of what each must give.
        scorecard: Folder for the scorecard, or None.
        records: Folder for this run's records, emptied when it begins.
        store: Folder of measurements.
        attention: "sdpa" or "eager".
        photographs: Folder of two-object photographs, for subjects that were not trained on drawn solids.
        coco: Folder of COCO 2017 validation images, for the same.
    """

    subjects: tuple[str, ...] = ()
    family: str | None = None
    gpu: bool = False
    controls: bool = False
    gate: bool = True
    trials: int | None = None
    seed: int = 0
    baseline: str | None = None
    scorecard: Path | None = None
    records: Path = ROOT / "reports" / "runs" / "records"
    store: Path = ROOT / "reports" / "store"
    attention: str = "sdpa"
    photographs: Path = ROOT / "data" / "photographs"
    coco: Path = ROOT / "data" / "coco"


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
            self.holder = SubjectHolder(self.device, options.attention, say)
            self.measuring = Measuring(
                Store(options.store, say),
                self.holder,
                trials=options.trials,
                seed=options.seed,
                setting={
                    "device": self.device,
                    "attention": options.attention,
                    **{package: version(package) for package in MEASURED_WITH},
                },
                say=say,
                gate=options.gate,
            )
            self.baselines = _baselines(options, self.entries)
            self.expected = None if options.baseline == "none" else controls.expected()
        except (Refused, ValueError, RuntimeError) as error:
            raise BadOption(str(error)) from error
        except OSError as error:
            raise BadOption(
                f"{error.filename}: {error.strerror}; name a folder that can be written"
            ) from error
        self.begun = False
        self._measured: dict[tuple[str, Entry], Measured] = {}

    @property
    def folder(self) -> Path:
        """Where this run's records go."""
        return self.options.records

    def begin(self) -> None:
        """Empty the folder of records; what was judged by an earlier run is not this run's."""
        try:
            collected.forget(self.folder)
            self.begun = True
        except OSError as error:
            raise BadOption(
                f"cannot write the scorecard to {self.folder.parent}: {error.strerror}; "
                "name another folder with --scorecard DIR"
            ) from error

    def measured(self, experiment: Experiment, entry: Entry) -> Measured:
        """The measurement of an experiment on a subject, asked for once per process."""
        key = (experiment.name, entry)
        if key not in self._measured:
            self._measured[key] = self.measuring.measure(experiment, entry)
        return self._measured[key]

    def baseline(self, claim: Claim, entry: Entry) -> Verdict | None:
        """The verdict of a claim in the baseline, or None if there is none.

        For a control it is the verdict that must come out.
        """
        # Whatever its seed, an untrained subject is untrained.
        if self._exact(entry):
            cell = self.expected.get((claim.id, entry.name.partition(":")[0]))
            return cell.verdict if cell else None
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
        save_record(self.folder, record)
        in_use = any(subject == entry.name for _, subject in self.baselines) or record.control
        return record, read_against(judgement.verdict, before, in_use=in_use, exact=record.control)

    def note_collected(self, tests: Iterable[tuple[str, Claim, Entry, str]], process: str) -> None:
        """Write down what was collected, so that a process that dies is missed.

        Args:
            tests: Id of a test, its claim, its subject and what measures for it.
            process: Name of this process.
        """
        tests = list(tests)
        claims = {claim.id: claim for _, claim, _, _ in tests}
        tasks = {test: Task(claim.id, entry.name, by) for test, claim, entry, by in tests}
        collected.note(self.folder, process, tasks, claims_hash(claims.values()))

    def conclude(self, *, partial: bool) -> Scorecard:
        """The scorecard of the records, written to the run's folder; with --scorecard also its pictures."""
        found = collected.read(self.folder)
        run = self.facts(found.digest, partial=partial)
        scorecard = build(run, load_records(self.folder), found.pairs)
        if self.options.scorecard:
            known = calibration.read(CALIBRATION)
            said = {"calibration": calibration.sentence(known, scorecard)}
            said["deviations"] = deviations.to_json(scorecard)
            write_json(self.options.scorecard / "scorecard.json", {**scorecard.to_json(), **said})
            write_pages(scorecard, self.measuring.store, self.options.scorecard, known)
        return scorecard

    def facts(self, digest: str, *, partial: bool) -> Run:
        """What stands at the top of the scorecard."""
        return Run(
            schema=SCHEMA,
            claims_hash=digest,
            harness=__version__,
            torch=version("torch"),
            transformers=version("transformers"),
            nnsight=version("nnsight"),
            device=self.device,
            dtype=", ".join(sorted({e.dtype for e in self.entries})),
            attention=self.options.attention,
            started=self.started,
            seed=self.options.seed,
            trials=self.options.trials,
            python=platform.python_version(),
            platform=platform.platform(),
            partial=partial,
        )


def select(options: Options) -> list[Entry]:
    """The subjects that the options ask for.

    Without names: the embedded ones, the controls if they are asked for, and with --gpu the hub's as well;
    `family` filters them all.

    Raises:
        UnknownSubject: A name that is nothing, or a family without subjects.
    """
    registry = read_registry()
    if options.subjects:
        found = [find(name, registry, family=options.family) for name in options.subjects]
        names = [entry.name for entry in found]
        for entry in found:
            if names.count(entry.name) > 1:
                raise BadOption(
                    f"two subjects are called {entry.name!r}: rename one of the folders"
                )
            if entry.kind == "local":
                from harness.subjects.loading import check_folder

                check_folder(entry.name, entry.folder)
        return found
    wanted = {"embedded": True, "control": options.controls, "hub": options.gpu}
    entries = [e for e in registry.values() if wanted[e.kind]]
    if options.family:
        entries = [e for e in entries if e.family == options.family]
        if not entries:
            known = ", ".join(sorted({e.family for e in registry.values()}))
            raise UnknownSubject(f"no subject of family {options.family!r}; there are: {known}")
    return entries


def _baselines(options: Options, entries: list[Entry]) -> dict[Pair, Record]:
    """The baseline's record of every (claim, subject) that it speaks about.

    A baseline that is named and holds one subject speaks about every subject of the run: it is the
    model that a release is compared with.
    """
    if options.baseline == "none":
        return {}
    found: dict[Pair, Record] = {}
    if options.baseline is None:
        for entry in entries:
            path = BASELINES / f"{entry.name}.json"
            if entry.kind == "embedded" and path.exists():
                found |= load_baseline(path)
        return found
    path = Path(options.baseline)
    named = BASELINES / f"{options.baseline}.json"
    if not path.is_file() and not named.is_file():
        known = ", ".join(sorted(p.stem for p in BASELINES.glob("*.json"))) or "none"
        raise BadOption(
            f"--baseline {options.baseline}: no such file or baseline; there are: {known}"
        )
    path = path if path.is_file() else named
    subjects = {subject for _, subject in load_baseline(path)}
    for entry in entries:
        found |= load_baseline(path, entry.name if len(subjects) == 1 else None)
    return found
