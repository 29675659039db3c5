"""What the processes of a run collected, written down so that a verdict that never came is missed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.judging.record import write_json


class Task(NamedTuple):
    """What the test of a claim is about: claim, subject, and the fixtures that measure for it, in one word."""

    claim: str
    subject: str
    measured: str


@dataclass(frozen=True)
class Collected:
    """What all processes of a run collected.

    Attributes:
        tasks: By the id of the test, in the order of collection.
        digest: Hash of the claims; "" if nothing was collected.
    """

    tasks: Mapping[str, Task]
    digest: str

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every claim and subject, once."""
        return list(dict.fromkeys((task.claim, task.subject) for task in self.tasks.values()))


def note(folder: Path, process: str, tasks: Mapping[str, Task], digest: str) -> None:
    """Write down what one process collected; a reader sees all of it or nothing."""
    # Not *.json: that is what records are called.
    write_json(folder / f"collected-{process}.txt", {"claims_hash": digest, "tasks": tasks})


def read(folder: Path) -> Collected:
    """What was written down by any process: each collects everything, and some may have died before."""
    tasks: dict[str, Task] = {}
    digest = ""
    for path in sorted(folder.glob("collected-*.txt")):
        facts = json.loads(path.read_text())
        tasks |= {test: Task(*task) for test, task in facts["tasks"].items()}
        digest = facts["claims_hash"]
    return Collected(tasks, digest)


def forget(folder: Path) -> None:
    """Empty the folder of an earlier run's records; they are not this run's.

    Raises:
        OSError: The folder cannot be made, or not written into.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*folder.glob("*.json"), *folder.glob("collected-*.txt")]:
        path.unlink()
    probe = folder / ".writable"
    probe.touch()
    probe.unlink()
