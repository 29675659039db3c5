"""Finds the commit that a revision of a repository stands for, and writes it into fixtures/subjects.toml."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.machine.files import FIXTURES
from harness.subjects.registry import Entry, Refused

COMMIT = re.compile(r"[0-9a-f]{40}")


class CannotPin(Refused, ValueError):
    """The commit of a repository is not known here, or the file has no such entry."""


def is_pinned(entry: Entry) -> bool:
    """Whether an entry names one commit, or needs none."""
    return entry.kind != "hub" or COMMIT.fullmatch(entry.revision) is not None


def resolve_commit(entry: Entry) -> str:
    """The commit that the entry's revision stands for, 40 hexadecimal digits.

    The hub is asked if it can be reached; otherwise the commit in the hub's local cache is taken.

    Raises:
        CannotPin: Neither the hub nor its cache tells the commit.
    """
    revision = entry.revision or "main"
    try:
        found = find_cached_commit(entry.source, revision)
    except (OSError, ValueError) as error:
        raise CannotPin(
            f"{entry.name}: what {revision} of {entry.source} stands for cannot be found out here "
            f"({str(error).strip().splitlines()[0]}). Download it once where there is a network "
            f"(hf download {entry.source}), or write the commit into fixtures/subjects.toml by hand"
        ) from None
    if found is None:
        raise CannotPin(
            f"{entry.name}: {entry.source} was found, but not of which commit it is; it may be a folder of "
            "that name in the working directory"
        )
    return found


def find_cached_commit(source: str, revision: str) -> str | None:
    """The commit of a repository's config.json in the hub's cache; None for a plain folder.

    It is read off the name of the cache's folder: configurations of transformers 5.23 do not keep their commit.

    Raises:
        OSError: The file is not here and cannot be fetched.
    """
    from transformers.utils.hub import cached_file

    path = Path(cached_file(source, "config.json", revision=revision))
    found = path.parent.name
    return found if path.parent.parent.name == "snapshots" and COMMIT.fullmatch(found) else None


def pin(entry: Entry, commit: str, path: Path | None = None) -> None:
    """Write a commit into the entry's revision line; all else in the file stays as it is.

    Args:
        entry: The entry as the file has it.
        commit: From `resolve_commit`.
        path: The registry; fixtures/subjects.toml if not given.

    Raises:
        CannotPin: The file has no such entry, or the entry has no revision line.
    """
    path = path or FIXTURES / "subjects.toml"
    lines = path.read_text().splitlines(keepends=True)
    headers = (f"[{entry.name}]", f'["{entry.name}"]')
    inside = False
    for index, line in enumerate(lines):
        if line.lstrip().startswith("["):
            inside = line.split("#")[0].strip() in headers
        elif inside and re.match(r"\s*revision\s*=", line):
            lines[index] = re.sub(r'"[^"]*"', f'"{commit}"', line, count=1)
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text("".join(lines))
            os.replace(temporary, path)
            return
    raise CannotPin(f'{path}: [{entry.name}] with a line revision = "..." is not there')
