"""The journal of a run: what its processes collected and did, so that a missing verdict is noticed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.judging.claim import Pair
from harness.machine.files import name_file, write_json
from harness.subjects.own_stimuli import USUAL
from harness.subjects.pinning import is_pinned
from harness.subjects.registry import Entry

OLD = ("*.json", "*.evidence.gz", "collected-*.txt", "unsealed-*.txt", "asked/*", "subjects/*")
"""Files that an earlier run left in its folder of records."""


BEGUN = "begun"
"""Name of the file that shows that the run, and no later one, has the folder."""


class PlannedTest(NamedTuple):
    """What the test of a claim is about.

    Attributes:
        claim: Id of the claim.
        subject: Name of the subject.
        measured: The fixtures that measure for it, in one string; equal for tests that share measurements.
        needs: Names of the experiments that it measures, as far as is known before it runs.
    """

    claim: str
    subject: str
    measured: str
    needs: tuple[str, ...] = ()


class PlannedMeasurement(NamedTuple):
    """A measurement that the tests need.

    Attributes:
        subject: Name of the subject.
        experiment: Name of the experiment.
        key: Its name in the store; "" if that is known only once the subject is loaded.
        share: How many trials it has, as a share of the experiment's own number on subjects that ship.
    """

    subject: str
    experiment: str
    key: str
    share: float


@dataclass(frozen=True)
class Collected:
    """What all processes of a run collected.

    Attributes:
        tests: Tests of claims by their ids, in the order of collection.
        digest: Hash of the claims; "" if nothing was collected.
        left_out: Claims and subjects that were found and not chosen; None if only some files were searched.
        planned: Measurements that the tests need, as far as is known before they run.
    """

    tests: Mapping[str, PlannedTest]
    digest: str
    left_out: frozenset[Pair] | None = frozenset()
    planned: tuple[PlannedMeasurement, ...] = ()

    @property
    def pairs(self) -> list[Pair]:
        """Every claim and subject that is tested, once."""
        return list(dict.fromkeys((test.claim, test.subject) for test in self.tests.values()))


@dataclass(frozen=True)
class Journal:
    """The folder into which all processes of a run write notes and records.

    A reader sees all of a note or nothing of it. Two processes may write the same note.

    Attributes:
        folder: Path of the folder.
    """

    folder: Path

    def begin(self) -> None:
        """Remove what an earlier run left in the folder.

        Raises:
            OSError: The folder cannot be made, or cannot be written into.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in [p for old in OLD for p in self.folder.glob(old)]:
            path.unlink()
        (self.folder / BEGUN).touch()

    @property
    def is_begun(self) -> bool:
        """Whether the folder is still the one that `begin` made ready: nobody else has emptied it."""
        return (self.folder / BEGUN).exists()

    def note_collected(
        self,
        process: str,
        tests: Mapping[str, PlannedTest],
        digest: str,
        left_out: Iterable[Pair] | None = (),
        planned: Iterable[PlannedMeasurement] = (),
    ) -> None:
        """Write down what one process collected.

        Args:
            process: Name of the process.
            tests: As in `Collected`.
            digest: As in `Collected`.
            left_out: As in `Collected`.
            planned: As in `Collected`.
        """
        facts = {
            "claims_hash": digest,
            "tests": tests,
            "planned": list(planned),
            "left_out": None if left_out is None else sorted(set(left_out)),
        }
        # Not *.json, which records are called.
        write_json(self.folder / f"collected-{process}.txt", facts)

    def read_collected(self) -> Collected:
        """What any process collected; each collects everything, but some may have died before that."""
        tests: dict[str, PlannedTest] = {}
        planned: dict[Pair, PlannedMeasurement] = {}
        digest = ""
        left_out: frozenset[Pair] | None = frozenset()
        for path in sorted(self.folder.glob("collected-*.txt")):
            facts = json.loads(path.read_text())
            for test, (claim, subject, measured, needs) in facts["tests"].items():
                tests[test] = PlannedTest(claim, subject, measured, tuple(needs))
            for each in (PlannedMeasurement(*p) for p in facts["planned"]):
                planned[each.subject, each.experiment] = each
            digest = facts["claims_hash"]
            found = facts["left_out"]
            left_out = None if found is None else frozenset((claim, name) for claim, name in found)
        return Collected(tests, digest, left_out, tuple(planned.values()))

    def note_asked(self, measured: str, trials: int, whole: int) -> None:
        """Write down how many trials were measured, for `count_asked`.

        Args:
            measured: Name of the subject and of the experiment.
            trials: How many trials were measured.
            whole: The experiment's own number of trials.
        """
        note = {"measured": measured, "trials": trials, "whole": whole}
        write_json(self.folder / "asked" / f"{name_file(measured)} {trials}", note)

    def count_asked(self) -> tuple[int, int]:
        """How many trials were measured at all looks together, and how many all trials would have been."""
        notes = [json.loads(path.read_text()) for path in sorted(self.folder.glob("asked/*"))]
        whole = {note["measured"]: note["whole"] for note in notes}
        return sum(note["trials"] for note in notes), sum(whole.values())

    def note_subject(self, entry: Entry, commit: str | None) -> None:
        """Write down the dtype, the arrangement and the commit of a loaded subject."""
        content = {"subject": entry.name, "facts": gather_facts(entry, commit)}
        write_json(self.folder / "subjects" / name_file(entry.name), content)

    def read_subjects(self, entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
        """What `gather_facts` says of each subject: as noted when it was loaded, else from its entry.

        A subject that was not loaded had all of its measurements in the store, so its entry says all there is.
        """
        notes = [json.loads(path.read_text()) for path in sorted(self.folder.glob("subjects/*"))]
        noted = {note["subject"]: note["facts"] for note in notes}
        return {entry.name: noted.get(entry.name) or gather_facts(entry) for entry in entries}


def gather_facts(entry: Entry, commit: str | None = None) -> dict[str, str]:
    """How a subject is asked, as far as its entry says.

    Args:
        entry: From the registry, or of a loaded subject, which leaves nothing open.
        commit: The commit that its revision was resolved to; None for the revision itself, if it is a commit.

    Returns:
        `dtype`; `arrangement`, unless that is decided on loading; `revision` and `commit`, if it is of the hub.
    """
    facts = {"dtype": entry.dtype}
    if entry.arrangement != "auto":
        facts["arrangement"] = entry.arrangement
    if entry.stimuli != USUAL:
        facts["stimuli"] = str(entry.stimuli)
    if entry.kind == "hub" and is_pinned(entry):
        commit = commit or entry.revision
    if commit:
        facts |= {"revision": entry.revision or "main", "commit": commit}
    return facts
