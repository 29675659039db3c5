"""Hashes of a subject's files, kept from one process to the next.

Hashing a published model takes half a minute, and every run and every worker of a run needs its hash. So it is
kept in a file beside the measurements, together with what the file system said of each file (`contents.Mark`):
file system, inode, size and both times in ns. A file of which any of these differs is read again. So is one
that had been written less than two seconds before it was read, since another write may have had the same time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from harness.machine.files import name_file, read_json
from harness.subjects.contents import Contents, Mark, remember_hash


class KeptHashes:
    """The hashes of the files of subjects, in a folder of one file for each subject.

    Args:
        folder: It is made when the first hash is kept.
        say: Is called with a line where a hash cannot be kept, or another process is waited for.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self.folder, self.say = folder, say

    def hash_contents(self, contents: Contents) -> None:
        """Let `contents.digest` be known, reading only files whose hash is not kept; what is new is kept.

        Processes that share the folder read a file once: the others wait for the first.

        Raises:
            harness.subjects.contents.FolderChanged: A file is no longer the one that was marked.
        """
        if "hashes" in vars(contents):
            return
        file = self.folder / f"{name_file(str(contents.folder.resolve()))}.json"
        if not self._recall(file, contents):
            with self._alone(file, contents.folder):
                self._recall(file, contents)
                self._keep(file, contents)
        # Known by now, so that nothing is read.
        _ = contents.digest

    def _recall(self, file: Path, contents: Contents) -> bool:
        """Let this process know what is kept; whether that is all of it."""
        kept = _read_kept(file)
        known = {name: kept[name] for name, mark in contents.marks.items() if name in kept}
        known = {name: each for name, each in known.items() if each[0] == contents.marks[name]}
        for name, (mark, digest) in known.items():
            remember_hash(contents.folder / name, mark, digest)
        return known.keys() == contents.marks.keys()

    def _keep(self, file: Path, contents: Contents) -> None:
        held = {
            name: {"mark": list(contents.marks[name]), "sha256": hashed.digest.hex()}
            for name, hashed in contents.hashes.items()
            if hashed.settled
        }
        if not held:
            return
        # A name that is not UTF-8 is written as ASCII, as JSON may have it.
        text = json.dumps({"folder": str(contents.folder), "files": held}, indent=1)
        # With the file's name in its own, so that the next holder of the lock finds what a killed one left.
        temporary = file.with_name(f"{file.stem}.{os.getpid()}.tmp")
        try:
            temporary.write_text(text)
            os.replace(temporary, file)
        except OSError as error:
            self.say(
                f"could not keep the hashes of {contents.folder}: {error}; read again next time"
            )
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _alone(self, file: Path, subject: Path) -> Iterator[None]:
        """Keep other processes from reading the same files meanwhile; without a lock it costs only time."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(file.with_suffix(".lock"), poll_interval=0.2)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                self.say(f"waiting for another run that reads {subject}")
                lock.acquire()
        except (OSError, NotImplementedError):
            yield
            return
        try:
            for left in self.folder.glob(f"{file.stem}.*.tmp"):
                with suppress(OSError):
                    left.unlink()
            yield
        finally:
            lock.release()


def _read_kept(file: Path) -> dict[str, tuple[Mark, bytes]]:
    """From the name of each file to its mark and hash; nothing where the file is not there or damaged."""
    try:
        held = read_json(file)["files"]
        return {
            name: (Mark(*map(int, each["mark"])), bytes.fromhex(each["sha256"]))
            for name, each in held.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
