"""Writes files so that a killed process or a full disk never leaves half of one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the project."""

FIXTURES = ROOT / "fixtures"
REPORTS = ROOT / "reports"

LONGEST_NAME = 100
"""Characters of a part of a file's name; file systems take 255 bytes for the whole, some 143."""


class NoCheckout(RuntimeError):
    """Raised where the code is installed without the claims and the fixtures, as from a wheel."""


def check_checkout(what: str) -> None:
    """Check that the claims and the fixtures are there, which a wheel does not hold.

    Args:
        what: Needs them; begins the message.

    Raises:
        NoCheckout: They are not; the message is one line and says what to do.
    """
    missing = [p.name for p in (ROOT / "claims", FIXTURES / "subjects.toml") if not p.exists()]
    if missing:
        raise NoCheckout(
            f"{what}: {ROOT} has no {' and no '.join(missing)}, since a wheel holds the code alone: clone the "
            "repository, run `pip install -e . -c constraints.txt` in the clone, and start from there"
        )


def write_json(path: str | Path, payload: object) -> None:
    """Write JSON, whole or not at all, as `write_bytes` does it; keys keep their order.

    Args:
        path: Where to.
        payload: Dicts, lists, strings, finite numbers, booleans, None.

    Raises:
        ValueError: A number in the payload is not finite; nothing is written.
        OSError: The disk refuses; the old file is untouched.
    """
    text = json.dumps(payload, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


def name_file(text: str) -> str:
    """A file's name that stands for a text, the same for the same text and no other's.

    It is the text as in a URL, where that is short enough for every file system together with what is put
    before and after it; else the beginning of that, and a hash of the whole.
    """
    name = quote(text, safe="", errors="surrogateescape").replace("~", "%7E")
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
    # Not within the three characters of one that was quoted.
    begins = re.sub(r"%[0-9A-F]?$", "", name[: LONGEST_NAME - len(digest) - 1])
    return f"{begins}~{digest}"


def check_writable(path: str | Path) -> None:
    """Check that a file can be written, before its content is computed; its folder is made.

    Raises:
        OSError: It cannot; the message names the file.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.with_name(f".{secrets.token_hex(8)}.tmp")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from error


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file so that at any moment either the old one or the new one is there, whole.

    A temporary file in the same folder (so that the replacement is a rename) is flushed to disk
    before it takes the name. Folders are made as needed.

    Raises:
        OSError: The disk refuses; the old file is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not named *.json: what a killed process leaves behind must not be read as a record.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: str | Path) -> Any:
    """Read a file that `write_json` wrote.

    Raises:
        ValueError: The file is cut off, damaged or holds NaN; the message names it and the remedy.
        OSError: There is no such file.
    """
    try:
        return json.loads(Path(path).read_bytes().decode(), parse_constant=_refuse)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a whole JSON file ({error}); it was cut off or edited: delete it and "
            "run what made it again"
        ) from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder; the rename is durable without.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
