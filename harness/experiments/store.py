"""Measurements kept by content: same weights, stimuli, code and precision, same key.

An entry is two files, `KEY.nc` and `KEY.json`; the second names the checksum of the first and is written
last, so an entry is there whole or not at all. A damaged entry is measured again, and said so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as xr

from harness.judging.files import write_json

MEASURING_ROOMS = ("stimuli", "subjects", "tracing", "measures", "experiments")


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Hash of all code that a measurement can depend on."""
    root = Path(__file__).resolve().parents[1]
    digest = _hash(root, MEASURING_ROOMS)
    # Bootstrap draws are part of a measurement.
    for name in ("stats.py", "clusters.py"):
        digest.update((root / "judging" / name).read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def stimuli_hash() -> str:
    """Hash of the code that draws scenes and prompts: with another, the same seed gives other trials."""
    return _hash(Path(__file__).resolve().parents[1], ["stimuli"]).hexdigest()


def content_key(experiment: str, fingerprint: str, **settings: Any) -> str:
    """The name of a measurement: 24 hexadecimal digits of a hash over everything it depends on."""
    facts = {"experiment": experiment, "subject": fingerprint, "code": code_hash(), **settings}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


class Store:
    """A folder of measurements.

    Args:
        folder: Made if it is not there.
        say: Receives a line when an entry is found damaged.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self.folder = folder
        self.say = say
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement, or None if it is not there or not whole."""
        data, note = self.folder / f"{key}.nc", self.folder / f"{key}.json"
        if not note.exists():
            return None
        try:
            if (
                json.loads(note.read_text())["sha256"]
                != hashlib.sha256(data.read_bytes()).hexdigest()
            ):
                raise ValueError("the checksum differs")
            with xr.open_dataset(data, engine="h5netcdf") as dataset:
                return dataset.load()
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.say(f"{data.name} in the store is damaged ({error}): measured again")
            return None

    def put(self, key: str, dataset: xr.Dataset, provenance: Mapping[str, Any]) -> None:
        """Keep a measurement; readers see the old entry or the new one, never half of it."""
        data = self.folder / f"{key}.nc"
        temporary = self.folder / f"{key}.{os.getpid()}.tmp"
        try:
            dataset.to_netcdf(temporary, engine="h5netcdf")
            checksum = hashlib.sha256(temporary.read_bytes()).hexdigest()
            os.replace(temporary, data)
        finally:
            temporary.unlink(missing_ok=True)
        write_json(self.folder / f"{key}.json", {"sha256": checksum, **provenance})


def _hash(root: Path, rooms: Iterable[str]) -> hashlib._Hash:
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((root / room).glob("*.py")):
            digest.update(f"{room}/{path.name}".encode())
            digest.update(path.read_bytes())
    return digest
