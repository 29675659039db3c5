"""A local cache of the hub with repositories in it, as a download leaves one."""

from __future__ import annotations

import shutil
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(cache: Path, repository: str, files: Path, commit: str = COMMIT) -> Path:
    """Put a folder of files into a cache as a commit to which main points; returns the snapshot."""
    root = cache / ("models--" + repository.replace("/", "--"))
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    return shutil.copytree(files, root / "snapshots" / commit)
