"""Judge two subjects in the same way, one run after the other, so that their scorecards can be compared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.machine.files import REPORTS, ROOT, name_file
from harness.runs.baselines import BadOption
from harness.subjects.registry import BYTES, Entry, find, read_registry, serve

COMPARED = REPORTS / "runs" / "compared"
"""Where the scorecards of both sides go if nobody says where."""

JUDGED = (0, 1)
"""Exit statuses of a run that has judged its claims, whatever the verdicts are."""


def find_sides(name: str, *, quantised: str | None, merged: str | None) -> tuple[Entry, Entry]:
    """The two subjects of a comparison: a checkpoint and what it is served as, or a base and a merged adapter.

    Args:
        name: Of the checkpoint or the base, as after --subject.
        quantised: The precision in which the checkpoint is served; None for the other question.
        merged: Name or folder of the base with an adapter merged into it.

    Raises:
        UnknownSubject: A name is no subject.
        BadOption: The two are the same, or not of one family.
    """
    registry = read_registry()
    before = find(name, registry)
    after = find(merged, registry) if merged is not None else serve(before, quantised or "")
    if before == after:
        raise BadOption(f"{name} and {merged} are the same")
    if before.family != after.family:
        raise BadOption(
            f"{after.name} is of family {after.family} and {before.name} of {before.family}, so that it is no "
            "version of it"
        )
    return before, after


def find_files(sections: Sequence[str]) -> list[str]:
    """The files with the claims of some sections, as "3.4"; all claims if none is named.

    Raises:
        BadOption: A section has no claims.
    """
    found: list[str] = []
    for section in sections:
        files = sorted((ROOT / "claims").glob(f"*/test_{section.replace('.', '_')}_*.py"))
        if not files:
            raise BadOption(f"--section {section}: no claims; sections are named as in 3.4")
        found += map(str, files)
    return found or [str(ROOT / "claims")]


def list_arguments(
    entry: Entry, name: str, folder: Path, files: Sequence[str], more: Sequence[str]
) -> list[str]:
    """The arguments of pytest for one side.

    Args:
        entry: The subject.
        name: As it was named.
        folder: For its scorecard.
        files: With the claims.
        more: Options for both sides.
    """
    own = ["--subject", name, "--baseline", "none", "--scorecard", str(folder)]
    shipped = entry.kind in ("embedded", "control")
    if not shipped and entry.quantised not in BYTES and "--dtype" not in " ".join(more):
        # A checkpoint that lies there in bfloat16 would else be compared with itself.
        own += ["--dtype", "float32"]
    return [*files, *own, *more]


def run_sides(
    sides: Sequence[tuple[Entry, str]],
    folder: Path | None,
    files: Sequence[str],
    more: Sequence[str],
) -> list[Path]:
    """Run the claims on two subjects, one after the other, in processes of their own.

    Args:
        sides: Each subject, and the name by which pytest finds it.
        folder: For the two scorecards; a folder of reports/runs if None.
        files: With the claims.
        more: Options for both sides.

    Returns:
        The folders of the two scorecards.

    Raises:
        RuntimeError: A run has judged nothing; pytest has said why.
    """
    folder = folder or COMPARED / name_file(" and ".join(entry.name for entry, _ in sides))
    made = []
    for (entry, name), side in zip(sides, ("before", "after"), strict=True):
        own = folder.absolute() / side
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "--rootdir", str(ROOT)]
        command += list_arguments(entry, name, own, files, more)
        print(f"claims compare: {side}: {entry.name}, into {own}", file=sys.stderr, flush=True)
        status = subprocess.run(command).returncode
        if status not in JUDGED:
            raise RuntimeError(f"the run of {entry.name} ended with status {status}, see above")
        made.append(own)
    return made
