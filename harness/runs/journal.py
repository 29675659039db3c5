"""What the processes of a run collected and did, written down so that a verdict that never came is missed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from harness.judging.claim import Pair
from harness.machine.files import write_json
from harness.subjects.pinning import pinned
from harness.subjects.registry import Entry

OLD = ("*.json", "*.evidence.gz", "collected-*.txt", "asked/*", "subjects/*")
"""What a run leaves in its folder of records."""


class PlannedTest(NamedTuple):
    """What the test of a claim is about.

    Attributes:
        claim: Its id.
        subject: Name of the subject.
        measured: The fixtures that measure for it, in one word.
        needs: Names of the experiments that it measures, as far as can be told before.
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
        key: In the store; "" if it is known only once the subject is loaded.
        share: Trials asked, of the experiment's own number.
    """

    subject: str
    experiment: str
    key: str
    share: float


@dataclass(frozen=True)
class Collected:
    """What all processes of a run collected.

    Attributes:
        tests: By the id of the test, in the order of collection.
        digest: Hash of the claims; "" if nothing was collected.
        left_out: Claims and subjects that were found and not chosen; None if only some files were looked into.
        planned: Measurements that the tests need, as far as can be told before.
    """

    tests: Mapping[str, PlannedTest]
    digest: str
    left_out: frozenset[Pair] | None = frozenset()
    planned: tuple[PlannedMeasurement, ...] = ()

    @property
    def pairs(self) -> list[Pair]:
        """Every claim and subject, once."""
        return list(dict.fromkeys((test.claim, test.subject) for test in self.tests.values()))


@dataclass(frozen=True)
class Journal:
    """The folder into which all processes of a run write.

    A reader sees all of a note or nothing of it; workers may write the same note twice.

    Attributes:
        folder: Also that of the records.
    """

    folder: Path

    def begin(self) -> None:
        """Empty the folder of an earlier run's records; they are not this run's.

        Raises:
            OSError: The folder cannot be made, or not written into.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in [p for old in OLD for p in self.folder.glob(old)]:
            path.unlink()
        probe = self.folder / ".writable"
        probe.touch()
        probe.unlink()

    def note_collected(
        self,
        process: str,
        tests: Mapping[str, PlannedTest],
        digest: str,
        left_out: Iterable[Pair] | None = (),
        planned: Iterable[PlannedMeasurement] = (),
    ) -> None:
        """Write down what one process collected."""
        facts: dict[str, Any] = {"claims_hash": digest, "tests": tests, "planned": list(planned)}
        facts["left_out"] = None if left_out is None else sorted(set(left_out))
        # Not *.json: that is what records are called.
        write_json(self.folder / f"collected-{process}.txt", facts)

    def read_collected(self) -> Collected:
        """What was written down by any process: each collects everything, and some may have died before."""
        tests: dict[str, PlannedTest] = {}
        planned: dict[Pair, PlannedMeasurement] = {}
        digest, left_out = "", frozenset[Pair]()
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
        """Write down how many trials an experiment asked of a subject, and of how many."""
        note = {"measured": measured, "trials": trials, "whole": whole}
        write_json(self.folder / "asked" / f"{quote(measured, safe='')} {trials}", note)

    def count_asked(self) -> tuple[int, int]:
        """Trials asked in all, of looks that were not the last one as well, and trials that all would be."""
        notes = [json.loads(path.read_text()) for path in sorted(self.folder.glob("asked/*"))]
        whole = {note["measured"]: note["whole"] for note in notes}
        return sum(note["trials"] for note in notes), sum(whole.values())

    def note_subject(self, entry: Entry, commit: str | None) -> None:
        """Write down the dtype, arrangement and commit of a loaded subject."""
        content = {"subject": entry.name, "facts": gather_facts(entry, commit)}
        write_json(self.folder / "subjects" / quote(entry.name, safe=""), content)

    def read_subjects(self, entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
        """The dtype and arrangement of each subject: as written down when it was loaded, else as in its entry.

        One whose measurements were all in the store need not have been loaded; then its entry leaves nothing
        open.
        """
        notes = [json.loads(path.read_text()) for path in sorted(self.folder.glob("subjects/*"))]
        noted = {note["subject"]: note["facts"] for note in notes}
        return {entry.name: noted.get(entry.name) or gather_facts(entry) for entry in entries}


def gather_facts(entry: Entry, commit: str | None = None) -> dict[str, str]:
    """How a subject is asked, as far as its entry says.

    Args:
        entry: Of the registry, or of a loaded subject, which says what was left open.
        commit: What its revision was found to be; the revision itself, if it names one.

    Returns:
        `dtype`; `arrangement`, unless that is decided on loading; of the hub `revision` and `commit`.
    """
    facts = {"dtype": entry.dtype}
    if entry.arrangement != "auto":
        facts["arrangement"] = entry.arrangement
    if entry.kind == "hub" and pinned(entry):
        commit = commit or entry.revision
    if commit:
        facts |= {"revision": entry.revision or "main", "commit": commit}
    return facts
