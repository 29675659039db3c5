"""What the processes of a run collected, written down so that a verdict that never came is missed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from harness.machine.files import write_json
from harness.subjects.pinning import pinned
from harness.subjects.registry import Entry

OLD = ("*.json", "*.evidence.gz", "collected-*.txt", "asked/*", "subjects/*")
"""What a run leaves in its folder of records."""


class Task(NamedTuple):
    """What the test of a claim is about: claim, subject, and the fixtures that measure for it, in one word.

    `needs` names the experiments that it measures, as far as can be told before.
    """

    claim: str
    subject: str
    measured: str
    needs: tuple[str, ...] = ()


class Planned(NamedTuple):
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
        tasks: By the id of the test, in the order of collection.
        digest: Hash of the claims; "" if nothing was collected.
        left_out: Claims and subjects that were found and not chosen; None if only some files were looked into.
        planned: Measurements that the tests need, as far as can be told before.
    """

    tasks: Mapping[str, Task]
    digest: str
    left_out: frozenset[tuple[str, str]] | None = frozenset()
    planned: tuple[Planned, ...] = ()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every claim and subject, once."""
        return list(dict.fromkeys((task.claim, task.subject) for task in self.tasks.values()))


def note(
    folder: Path,
    process: str,
    tasks: Mapping[str, Task],
    digest: str,
    left_out: Iterable[tuple[str, str]] | None = (),
    planned: Iterable[Planned] = (),
) -> None:
    """Write down what one process collected; a reader sees all of it or nothing."""
    # Not *.json: that is what records are called.
    facts = {"claims_hash": digest, "tasks": tasks, "planned": list(planned)}
    facts["left_out"] = None if left_out is None else sorted(set(left_out))
    write_json(folder / f"collected-{process}.txt", facts)


def read(folder: Path) -> Collected:
    """What was written down by any process: each collects everything, and some may have died before."""
    tasks: dict[str, Task] = {}
    planned: dict[tuple[str, str], Planned] = {}
    digest, left_out = "", frozenset()
    for path in sorted(folder.glob("collected-*.txt")):
        facts = json.loads(path.read_text())
        tasks |= {test: _task(*task) for test, task in facts["tasks"].items()}
        planned |= {(p.subject, p.experiment): p for p in (Planned(*p) for p in facts["planned"])}
        digest = facts["claims_hash"]
        left_out = None if facts["left_out"] is None else frozenset(map(tuple, facts["left_out"]))
    return Collected(tasks, digest, left_out, tuple(planned.values()))


def _task(claim: str, subject: str, measured: str, needs: list[str]) -> Task:
    return Task(claim, subject, measured, tuple(needs))


def forget(folder: Path) -> None:
    """Empty the folder of an earlier run's records; they are not this run's.

    Raises:
        OSError: The folder cannot be made, or not written into.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in [p for old in OLD for p in folder.glob(old)]:
        path.unlink()
    probe = folder / ".writable"
    probe.touch()
    probe.unlink()


def note_asked(folder: Path, measured: str, trials: int, whole: int) -> None:
    """Write down how many trials an experiment asked of a subject, of how many; workers may say it twice."""
    name = f"{quote(measured, safe='')} {trials}"
    write_json(folder / "asked" / name, {"measured": measured, "trials": trials, "whole": whole})


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


def note_subject(folder: Path, entry: Entry, commit: str | None) -> None:
    """Write down the dtype, arrangement and commit of a loaded subject; two workers may write the same."""
    content = {"subject": entry.name, "facts": gather_facts(entry, commit)}
    write_json(folder / "subjects" / quote(entry.name, safe=""), content)


def read_subjects(folder: Path, entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
    """The dtype and arrangement of each subject: as written down when it was loaded, else as in its entry.

    One whose measurements were all in the store need not have been loaded; then its entry leaves nothing open.
    """
    notes = [json.loads(path.read_text()) for path in sorted((folder / "subjects").glob("*"))]
    noted = {note["subject"]: note["facts"] for note in notes}
    return {entry.name: noted.get(entry.name) or gather_facts(entry) for entry in entries}


def asked(folder: Path) -> tuple[int, int]:
    """Trials asked in all, of looks that were not the last one as well, and trials that all would be."""
    notes = [json.loads(path.read_text()) for path in sorted((folder / "asked").glob("*"))]
    whole = {note["measured"]: note["whole"] for note in notes}
    return sum(note["trials"] for note in notes), sum(whole.values())
