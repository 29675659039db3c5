"""The store of measurements, each under a key that follows from all that it depends on.

An entry is two files, `KEY.nc` and `KEY.json`. The second has the checksum of the first and is written last,
so an entry is there whole or not at all. A damaged entry is reported and measured again. Processes that share
a store make a measurement once: the first one locks `KEY.lock`, and the system releases the lock when that
process ends, however it does.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import xarray as xr
from filelock import FileLock, Timeout


def make_key(
    experiment: str, fingerprint: str, code: str, **settings: str | int | list[str] | None
) -> str:
    """The name of a measurement: 24 hexadecimal digits of a hash over everything that it depends on.

    Args:
        experiment: The experiment's name.
        fingerprint: Hash of the subject, see `harness.subjects.subject.Subject`.
        code: Hash of the code that measures.
        settings: Whatever else changes numbers, by name.
    """
    facts = {"experiment": experiment, "subject": fingerprint, "code": code, **settings}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


class Store:
    """A folder of measurements.

    Args:
        folder: It is made if it does not exist.
        say: Is called with a line when an entry is found damaged, or another process is waited for.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self.folder = folder
        self.say = say
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement of a key, or None if it is missing or damaged."""
        try:
            return self._read(key)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.say(f"{key}.nc in the store is damaged ({error}): measured again")
            return None

    def _read(self, key: str) -> xr.Dataset | None:
        data, note = self.folder / f"{key}.nc", self.folder / f"{key}.json"
        if not note.exists():
            return None
        if json.loads(note.read_text())["sha256"] != hashlib.sha256(data.read_bytes()).hexdigest():
            raise ValueError("the checksum differs")
        with xr.open_dataset(data, engine="h5netcdf") as dataset:
            return dataset.load()

    def put(self, key: str, dataset: xr.Dataset, provenance: Mapping[str, str | int]) -> None:
        """Keep a measurement; readers see the old entry or the new one, never half of it.

        Args:
            key: From `make_key`.
            dataset: The measurement.
            provenance: What it was made from, for a person who reads `KEY.json`.

        Raises:
            OSError: The disk is full, or the folder cannot be written. No part of a file is left.
        """
        # Encoded in memory, since on a full disk the netCDF library ends the process.
        content = bytes(dataset.to_netcdf(engine="h5netcdf"))
        note = {"sha256": hashlib.sha256(content).hexdigest(), **provenance}
        # With the key in its name, so that `alone` finds what a process that was killed has left of either.
        temporary = self.folder / f"{key}.{os.getpid()}.tmp"
        for ending, part in (("nc", content), ("json", json.dumps(note, indent=1).encode())):
            try:
                temporary.write_bytes(part)
                os.replace(temporary, self.folder / f"{key}.{ending}")
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def alone(self, key: str, what: str) -> Iterator[xr.Dataset | None]:
        """Keep other processes from making the same measurement inside the block.

        Where the folder cannot be locked, two processes may make it, which only costs time.

        Args:
            key: The measurement's key.
            what: The measurement in words, for the line that says that another process is waited for.

        Yields:
            The measurement, if another process has made it by now; else None.
        """
        # The lock is the system's, since a mere file would outlive a process that is killed.
        lock = FileLock(self.folder / f"{key}.lock", preserve_lock_file=True, poll_interval=0.2)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            self.say(f"waiting for another run that measures {what}")
            lock.acquire()
        except (OSError, NotImplementedError):
            yield None
            return
        try:
            for left in self.folder.glob(f"{key}.*.tmp"):
                # A process that was killed left it: only the holder of the lock writes such files.
                left.unlink(missing_ok=True)
            yield self._read_or_none(key)
        finally:
            if (self.folder / f"{key}.json").exists():
                # Processes that wait find the measurement and need no lock any more.
                (self.folder / f"{key}.lock").unlink(missing_ok=True)
            lock.release()

    def _read_or_none(self, key: str) -> xr.Dataset | None:
        try:
            return self._read(key)
        except (OSError, ValueError, KeyError, TypeError):
            # `get` has already reported that it is damaged.
            return None
