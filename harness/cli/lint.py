"""The subcommand `claims lint`: find every change that makes a claim easier to pass, and ask for a reason."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers

if TYPE_CHECKING:
    from harness.calibration.revisions import State
    from harness.judging.weakening import Weakening

WIDTH = 100


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "lint",
        help="every change that makes a claim easier to pass, and whether a reason is given",
        description="Compare what the suite asks at two revisions, or in two files of `claims seal`: "
        "thresholds, exceptions, claims, trials, preconditions, and what controls must give. A change that "
        'makes a claim easier to pass needs an entry under "Unreleased" in CHANGELOG.md that names the claim.',
        epilog="exit status: 0 nothing is easier, or a reason is given for all that is; 1 a reason is missing; "
        "2 a revision or a file cannot be read",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument(
        "states",
        nargs="+",
        metavar="BASE..HEAD",
        help="two revisions (BASE...HEAD from where they parted), one that is compared with the working tree, "
        "or two files of `claims seal`",
    )
    parser.add_argument(
        "--changelog",
        type=Path,
        metavar="FILE",
        help="where reasons stand, instead of HEAD's CHANGELOG.md",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print every change that makes a claim easier; 1 if one has no reason.

    Raises:
        ValueError: The two states are not named as described, or a file is no seal.
        RuntimeError: A revision cannot be read.
        OSError: The changelog cannot be read.
    """
    from harness.judging.changelog import find_new_entries, find_reason
    from harness.judging.weakening import find_rewritten, find_weakenings

    before, after = _read_states(arguments.states)
    changelog = after.changelog
    if arguments.changelog:
        changelog = arguments.changelog.read_text(encoding="utf-8")
    entries = find_new_entries(changelog, before.changelog)
    print(f"{after.name} against {before.name}: {len(before.seal.claims)} claims before")
    for note in filter(None, (before.note, after.note)):
        print(f"Note: {note}")
    lacking = 0
    for change in find_weakenings(before.seal, after.seal):
        reason = find_reason(change.names, change.experiment, entries)
        lacking += reason is None
        print("\n".join(_tell(change, reason)))
    if rewritten := find_rewritten(before.seal, after.seal):
        print("Changed, and only a reader can tell whether less is asked:")
        for text in rewritten:
            print(f"  {text}")
    print(_tell_end(lacking))
    return 1 if lacking else 0


def _read_states(named: Sequence[str]) -> tuple[State, State]:
    """The two states that the command line names."""
    from harness.calibration.revisions import (
        CHANGELOG,
        State,
        find_merge_base,
        read_revision,
        read_working_tree,
    )
    from harness.judging.seal import read_seal
    from harness.machine.files import ROOT

    if len(named) == 2:
        log = ROOT / CHANGELOG
        text = log.read_text(encoding="utf-8") if log.is_file() else ""
        one, other = (
            State(n, read_seal(Path(n)), log) for n, log in zip(named, ("", text), strict=True)
        )
        return one, other
    if len(named) > 2:
        raise ValueError("name BASE..HEAD, or BASE alone, or two files of `claims seal`")
    base, dots, head = named[0].partition("..")
    if not base:
        raise ValueError(f"{named[0]}: name the revision to compare with, as in main..HEAD")
    if head.startswith("."):
        head = head.removeprefix(".") or "HEAD"
        base = find_merge_base(base, head)
    before = read_revision(base)
    return before, read_revision(head or "HEAD") if dots else read_working_tree()


def _tell(change: Weakening, reason: str | None) -> Iterator[str]:
    mark = "EASIER" if reason is None else "easier"
    yield f"{mark}  {change.what}: {change.before} -> {change.after}"
    if reason is not None:
        yield f"        reason: {textwrap.shorten(reason, WIDTH - 16, placeholder=' ...')}"
        return
    names = list(change.names[:3])
    more = f" and {len(change.names) - 3} more" if len(change.names) > 3 else ""
    other = f", or the experiment `{change.experiment}`" if change.experiment else ""
    told = ", ".join(f"`{name}`" for name in names)
    yield f'        no reason: name {told}{more}{other} under "Unreleased" in CHANGELOG.md, and say why'


def _tell_end(lacking: int) -> str:
    if not lacking:
        return "GREEN: no change makes a claim easier without a reason"
    changes = "1 change makes" if lacking == 1 else f"{lacking} changes make"
    return f"RED: {changes} a claim easier without a reason"
