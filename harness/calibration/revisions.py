"""Read what the suite asked at other revisions of the repository: each collects its claims with its own code.

A revision is unpacked into a temporary folder, so that neither the repository nor the working tree is
written to. One that has no `claims seal` yet is read by the code of this version, which is run against that
revision's claims and catalogue.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from harness.judging.seal import Seal, read_seal
from harness.machine.files import ROOT

CHANGELOG = "CHANGELOG.md"

SEAL = "harness/cli/seal.py"
"""The file by which a revision can write down what it asks; older revisions have none."""

TRY = "name another revision, or two files of `claims seal`"
"""What to do about a revision that cannot be read."""

OWN = Path(__file__).resolve().parents[2]
"""The folder of the code of this version, whatever repository is read."""

LENT = ("harness.judging.seal", "harness.runs.sealing", "harness.calibration.collecting")
"""Modules of this version that read a revision without `claims seal`, in the order of their imports."""

READ_OLDER = """
import importlib.util, pathlib, sys
for name, path in zip(sys.argv[2::2], sys.argv[3::2]):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
sys.modules["harness.calibration.collecting"].write_seal(pathlib.Path(sys.argv[1]))
"""


class CannotRead(RuntimeError):
    """A revision cannot be read; the message says why in one line."""


class State(NamedTuple):
    """What the suite asked at some time.

    Attributes:
        name: The revision, the file of a seal, or "the working tree".
        seal: What was asked.
        changelog: The text of the changelog; "" if there is none.
        note: What a reader has to know of how it was read; "" for nothing.
    """

    name: str
    seal: Seal
    changelog: str
    note: str = ""


def read_working_tree() -> State:
    """What the suite asks now, with changes that are not committed.

    Raises:
        CannotRead: The claims cannot be collected.
    """
    return _read_tree(ROOT, "the working tree")


def read_revision(revision: str) -> State:
    """What the suite asked at a revision.

    Args:
        revision: A commit, a branch or a tag.

    Raises:
        CannotRead: There is no such revision, or its claims cannot be collected.
    """
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    archive = _git("archive", "--format=zip", "-0", commit.decode().strip())
    with tempfile.TemporaryDirectory(prefix="claims-lint-") as folder:
        zipfile.ZipFile(io.BytesIO(archive)).extractall(folder)
        return _read_tree(Path(folder).resolve(), revision)


def find_merge_base(one: str, other: str) -> str:
    """The commit at which two revisions parted.

    Raises:
        CannotRead: There is none.
    """
    return _git("merge-base", "--end-of-options", one, other).decode().strip()


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    except OSError as error:
        raise CannotRead(
            f"git cannot be run: {error.strerror}; lint two files of `claims seal`"
        ) from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise CannotRead(
            f"{arguments[-1].removesuffix('^{commit}')}: no such revision in {ROOT}"
            + (f" ({told[0]})" if told else "")
            + "; name a commit, a branch or a tag that was fetched, or two files of `claims seal`"
        )
    return done.stdout


def _read_tree(tree: Path, name: str) -> State:
    """What the suite asks in a folder, collected by a process that imports its code."""
    own = (tree / SEAL).is_file()
    with tempfile.TemporaryDirectory(prefix="claims-lint-") as folder:
        path = Path(folder) / "seal.json"
        if own:
            command = ["-m", "harness.cli.main", "seal", str(path)]
        else:
            files = [OWN.joinpath(*module.split(".")).with_suffix(".py") for module in LENT]
            pairs = [text for pair in zip(LENT, map(str, files), strict=True) for text in pair]
            command = ["-c", READ_OLDER, str(path), *pairs]
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tree,
            env=_make_environment(tree),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not path.is_file():
            told = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
            why = told[-1].replace(f"{tree}{os.sep}", "")
            raise CannotRead(f"{name} cannot be read: {_explain_unread(why, own=own)}")
        try:
            seal = read_seal(path)
        except ValueError as error:
            why = str(error).removeprefix(f"{path}: ")
            raise CannotRead(f"{name} cannot be read: of its seal, {why}; {TRY}") from None
    log = tree / CHANGELOG
    note = (
        "" if own else f"{name} has no `claims seal`: its claims were read by this version's code"
    )
    return State(name, seal, log.read_text(encoding="utf-8") if log.is_file() else "", note)


def _explain_unread(why: str, *, own: bool) -> str:
    """Why the claims of a revision could not be collected, and what to try.

    Args:
        why: What the process said that collected them.
        own: Whether the revision has `claims seal`, so that its own code collected them.
    """
    if own:
        return f"its own code does not collect its claims ({why}); {TRY}"
    first = _git("log", "--diff-filter=A", "--format=%h", "--", SEAL).decode().split()[-1:]
    named = f", {first[0]} is the first" if first else ""
    return (
        f"it is from before `claims seal`, and too old for the code of this version ({why}); name a revision "
        f"that has `claims seal`{named}, or two files of it"
    )


def _make_environment(tree: Path) -> dict[str, str]:
    """The environment of this process, in which only the code of a folder is found and no option is set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GIT_"))}
    return {**kept, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
