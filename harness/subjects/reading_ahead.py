"""The files of the next subject are read into memory that is free, while the one before it is measured."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from harness.subjects.registry import Entry

SHARE = 0.5
"""Of the machine's memory the largest part that files are read ahead into."""


def read_ahead(entry: Entry) -> int:
    """Ask the system to read a subject's weights from the disk, beside what this process does.

    Nothing is read where the files are not on this machine, are too large for its memory, or where the system
    cannot be asked.

    Returns:
        Bytes that were asked for.
    """
    folder = entry.folder or _find_cached(entry)
    if entry.weights == "random" or folder is None or not hasattr(os, "posix_fadvise"):
        return 0
    asked = 0
    # Whatever is wrong with the files is told when they are loaded.
    with suppress(OSError):
        files = sorted(folder.glob("*.safetensors"))
        size = sum(path.stat().st_size for path in files)
        if size > SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            return 0
        for path in files:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
                asked += path.stat().st_size
    return asked


def _find_cached(entry: Entry) -> Path | None:
    """The folder of a repository in the hub's cache; None if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(entry.source, "config.json", revision=entry.revision or None)
    except ValueError:
        # It is no name of a repository, which is told when it is loaded.
        return None
    return Path(found).parent if isinstance(found, str) else None
