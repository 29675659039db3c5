"""What a folder held when a subject was loaded from it: the fingerprint's share, and whether it is still so.

A file is read once in a process, in pieces, and several files at once. Whether it is still the same file is
asked of the file system, which costs nothing; only a file that was touched is read again, and is the same if
its bytes are. `harness.subjects.hashes` keeps hashes for the processes that come later.
"""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from harness.machine.placement import count_threads
from harness.subjects.folder import MORE_OF_TOKENIZER, TRAINING
from harness.subjects.registry import Entry, Refused

OURS = frozenset({"card.json", "README.md", "truth.json"})
"""Files of subjects that ship with us, which say what is known of them."""

NOTES = frozenset(
    [".md", ".log", ".jsonl", ".png", ".jpg", ".svg", ".html", ".pdf", ".lock", ".tmp"]
)
"""Endings of files that no loader reads, and that may be written while a run is on."""


class FolderChanged(Refused, RuntimeError):
    """A file of a subject changed under a run: what is measured would not be what the run says it is."""


class Mark(NamedTuple):
    """What the file system says of a file without reading it; no write leaves all of it as it was.

    Attributes:
        device: On which file system it is.
        inode: Which file of that it is.
        size: Bytes.
        modified: When it was written, in ns.
        changed: When that or its owner, rights or names changed, in ns.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Hashed(NamedTuple):
    """The hash of a file's bytes.

    Attributes:
        digest: 32 bytes.
        settled: Whether the file had been left alone for SETTLED before it was read. A write right after
            another one may have the same time, and then leaves the mark as it was.
    """

    digest: bytes
    settled: bool


SETTLED = 2_000_000_000
"""How long after a write the time of another one surely differs, in ns; the coarsest file systems need 2 s."""

MOST_AT_ONCE = 4
"""Files that are hashed at once; each takes a core, and a disk serves few readers well."""

_HASHED: dict[tuple[Path, Mark], Hashed] = {}
"""What this process knows the hash of."""


@dataclass(frozen=True)
class Contents:
    """The files of a folder that can change what is loaded, as they were at one moment.

    Attributes:
        folder: The checkpoint's.
        marks: From the name of each file to its mark, sorted by name.
    """

    folder: Path
    marks: dict[str, Mark]

    @cached_property
    def digest(self) -> str:
        """Hash of the names and bytes of all files, 64 hexadecimal digits.

        Raises:
            FolderChanged: A file is no longer the one that was marked.
        """
        digest = hashlib.sha256()
        for name, hashed in self.hashes.items():
            digest.update(name.encode(errors="surrogateescape"))
            digest.update(hashed.digest)
        return digest.hexdigest()

    @cached_property
    def hashes(self) -> dict[str, Hashed]:
        """The hash of each file by its name, in the order of `marks`; files are read that were not before.

        Raises:
            FolderChanged: A file is no longer the one that was marked.
        """
        paths = [self.folder / name for name in self.marks]
        with ThreadPoolExecutor(min(count_threads(), MOST_AT_ONCE)) as beside:
            found = list(beside.map(_hash_file, paths, self.marks.values()))
        return dict(zip(self.marks, found, strict=True))

    def check(self, name: str) -> None:
        """Check that all files are what they were.

        Args:
            name: The subject's, for the message.

        Raises:
            FolderChanged: One is not, is gone or is new; the message names it.
        """
        now = mark_contents(self.folder).marks
        for file in sorted(now.keys() | self.marks.keys()):
            if now.get(file) != self.marks.get(file) and not self._is_same(file, now.get(file)):
                how = "is new" if file not in self.marks else "is gone" if file not in now else ""
                raise FolderChanged(
                    f"{name}: {file} {how or 'is another'}: {self.folder} changed while the run was on, so "
                    "that what is measured would not be what is there; copy the folder to where nothing "
                    "writes, and run again"
                )

    def _is_same(self, file: str, now: Mark | None) -> bool:
        """Whether a file that was touched has the bytes that it had."""
        before = self.marks.get(file)
        if before is None or now is None or before.size != now.size or "digest" not in vars(self):
            return False
        path = self.folder / file
        try:
            return _hash_file(path, before).digest == _hash_file(path, now).digest
        except (FolderChanged, OSError):
            return False


def take_fingerprint(
    entry: Entry, commit: str | None = None, contents: Contents | None = None
) -> str:
    """A hash that tells the weights of an entry, asked as it says, from others; 64 hexadecimal digits.

    Args:
        entry: From the registry.
        commit: Of a repository, the commit that its revision was resolved to on loading.
        contents: Of a folder, what it held on loading; what it holds now if not given.

    Raises:
        FolderChanged: A file changed since it was marked, or cannot be read.
    """
    if entry.folder is None:
        return entry.fingerprint(f"{entry.source}@{commit or entry.revision}")
    return entry.fingerprint((contents or mark_contents(entry.folder)).digest)


def mark_contents(folder: Path) -> Contents:
    """Mark the files of a folder that can change what is loaded; none of them is read.

    These are all files but those of `OURS`, of a training's state, notes and hidden ones; and the chat
    templates in their sub-folder. A folder that is not there has none.
    """
    marks = {}
    for path in [*folder.glob("*"), *folder.glob(f"{MORE_OF_TOKENIZER}/*.jinja")]:
        if path.name in OURS or path.name.startswith(".") or path.suffix.lower() in NOTES:
            continue
        if path.is_file() and not TRAINING.fullmatch(path.name):
            try:
                marks[path.relative_to(folder).as_posix()] = _mark(path.stat())
            except FileNotFoundError:
                continue
    return Contents(folder, dict(sorted(marks.items())))


def remember_hash(path: Path, mark: Mark, digest: bytes) -> None:
    """Let this process know the hash that a settled file had, so that it need not be read again."""
    _HASHED.setdefault((path, mark), Hashed(digest, settled=True))


def _mark(stat: os.stat_result) -> Mark:
    return Mark(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _hash_file(path: Path, mark: Mark) -> Hashed:
    """The hash of a file, if it is the one that was marked before and after it is read."""
    if (path, mark) in _HASHED:
        return _HASHED[path, mark]
    begun = time.time_ns()
    try:
        with path.open("rb") as file:
            before = _mark(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").digest()
            after = _mark(os.fstat(file.fileno()))
    except OSError as error:
        raise FolderChanged(f"{path} cannot be read: {error.strerror or error}") from error
    if not before == after == mark:
        raise FolderChanged(f"{path} changed while it was read: wait until nothing writes there")
    settled = begun - max(mark.modified, mark.changed) > SETTLED
    return _HASHED.setdefault((path, mark), Hashed(digest, settled))
