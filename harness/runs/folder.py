"""The folder of a scorecard while a run writes into it: one run at a time, and marked until it has finished."""

from __future__ import annotations

import errno
import json
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from harness.judging.record import SCHEMA
from harness.judging.state import describe_begun, tell_begun, tell_unfinished
from harness.machine.files import write_json
from harness.reporting import junit
from harness.reporting.sides import find_evidence_file
from harness.runs.baselines import PUBLISHED, BadOption, find_baseline_file

LEFT = ("index.html", "." + "?" * 16 + ".tmp")
"""What an earlier run left that says how it ended, or that it was killed while writing."""

UNLOCKABLE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of a file system that has no locks."""


class ScorecardFolder:
    """The folder of --scorecard, held by one run.

    An earlier scorecard is replaced as soon as a run begins, so that it is never taken for that of a run which
    was killed, or never came to judge anything.

    Args:
        path: The folder.
        say: Is called with a line where the folder cannot be locked.

    Attributes:
        records: Folder for the records of this run alone: a worker that outlives a killed run writes into
            another one.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self.path, self.say = path, say
        self.records = path / "records" / f"run-{secrets.token_hex(4)}"
        # The lock is the system's, which releases it however the process ends.
        self._lock = FileLock(path / ".lock", preserve_lock_file=True)

    def begin(self, command: str) -> None:
        """Lock the folder, and put a scorecard there which says that its run has not finished.

        Args:
            command: What begins the run, as it is typed.

        Raises:
            BadOption: Another run is writing into the folder, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._acquire()
            for left in [p for name in LEFT for p in self.path.glob(name)]:
                left.unlink()
            for records in self.path.glob("records/run-*"):
                shutil.rmtree(records, ignore_errors=True)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            run = describe_begun(SCHEMA, command, started)
            scorecard = self.path / "scorecard.json"
            write_json(scorecard, {"run": run, "records": [], "missing": [], "correction": ""})
            find_evidence_file(scorecard).unlink(missing_ok=True)
            junit.write_unfinished(tell_unfinished(run), started, self.path / "scorecard.xml")
        except OSError as error:
            raise BadOption(
                f"cannot write the scorecard to {self.path}: {error.strerror or error}; "
                "name another folder with --scorecard DIR"
            ) from error

    def release(self) -> None:
        """Let other runs have the folder."""
        self._lock.release()

    def _acquire(self) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise BadOption(
                f"--scorecard {self.path}: another run is writing into this folder{self._tell_other()}; wait "
                "until it has ended, or name another folder with --scorecard DIR"
            ) from None
        except (NotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in UNLOCKABLE:
                raise
            self.say(
                f"{self.path} cannot be locked: make sure that no other run writes into this folder"
            )

    def _tell_other(self) -> str:
        """Which run holds the folder, in words; "" if it has not said so yet."""
        try:
            run = json.loads((self.path / "scorecard.json").read_text())["run"]
            return f" ({tell_begun(run)})" if "process" in run else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""


def refuse_own_baseline(baseline: str | None, folder: Path) -> None:
    """Refuse a baseline that the run would replace by its own scorecard.

    Raises:
        BadOption: The folder of --scorecard is named as the baseline, too.
    """
    if baseline in (None, "none", PUBLISHED):
        return
    try:
        path = find_baseline_file(baseline)
    except BadOption:
        # Whoever reads the baseline says that there is none.
        return
    if path.resolve().parent == folder.resolve():
        raise BadOption(
            f"--baseline {baseline}: the run would replace it, since --scorecard names the same folder; "
            "name another folder with --scorecard DIR"
        )
