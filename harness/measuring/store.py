"""Measurements kept by content: same weights, stimuli, code and precision, same key.

An entry is two files, `KEY.nc` and `KEY.json`; the second names the checksum of the first and is written
last, so an entry is there whole or not at all. A damaged entry is measured again, and said so. Processes that
share a store make a measurement once: who is first locks `KEY.lock`, and the system gives the lock back when a
process ends, however it does.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr
from filelock import FileLock, Timeout

from harness.machine.files import write_json


def content_key(experiment: str, fingerprint: str, code: str, **settings: Any) -> str:
    """The name of a measurement: 24 hexadecimal digits of a hash over everything it depends on.

    Args:
        experiment: Its name.
        fingerprint: Of the subject.
        code: Hash of the code that measures it.
        settings: Whatever else changes numbers.
    """
    facts = {"experiment": experiment, "subject": fingerprint, "code": code, **settings}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


class Store:
    """A folder of measurements.

    Args:
        folder: Made if it is not there.
        say: Receives a line when an entry is found damaged, or another process is waited for.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self.folder = folder
        self.say = say
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement, or None if it is not there or not whole."""
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

    def put(self, key: str, dataset: xr.Dataset, provenance: Mapping[str, Any]) -> None:
        """Keep a measurement; readers see the old entry or the new one, never half of it.

        Raises:
            OSError: The disk is full, or the folder cannot be written; no part of a file is left.
        """
        data = self.folder / f"{key}.nc"
        temporary = self.folder / f"{key}.{os.getpid()}.tmp"
        # By way of memory: where a disk is full the library for such files ends the process.
        content = bytes(dataset.to_netcdf(engine="h5netcdf"))
        try:
            temporary.write_bytes(content)
            os.replace(temporary, data)
        finally:
            temporary.unlink(missing_ok=True)
        checksum = hashlib.sha256(content).hexdigest()
        write_json(self.folder / f"{key}.json", {"sha256": checksum, **provenance})

    @contextmanager
    def alone(self, key: str, what: str) -> Iterator[xr.Dataset | None]:
        """Keep other processes from making the same measurement meanwhile.

        Where the folder cannot be locked, two may make it; that costs time and nothing else.

        Args:
            key: Of the measurement.
            what: It is, for the line that says that another process is waited for.

        Yields:
            The measurement, if another process has made it by now.
        """
        # A lock that is a mere file would outlive the process that holds it.
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
                # Of a process that was killed; the one that may write holds the lock.
                left.unlink(missing_ok=True)
            yield self._made(key)
        finally:
            if (self.folder / f"{key}.json").exists():
                # Who waits finds the measurement, and has no use for the lock.
                (self.folder / f"{key}.lock").unlink(missing_ok=True)
            lock.release()

    def _made(self, key: str) -> xr.Dataset | None:
        try:
            return self._read(key)
        except (OSError, ValueError, KeyError, TypeError):
            # `get` has said so.
            return None
