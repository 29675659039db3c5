"""The subcommand `claims pin`: write the commit of a published model into fixtures/subjects.toml."""

from __future__ import annotations

import argparse
import sys

from harness.cli.options import Subparsers


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "pin",
        help="write the commit of published models into subjects.toml",
        description="Find out which commit the revision of a published model stands for, on the hub or in its "
        "local cache, and write it into fixtures/subjects.toml, so that a later run gets the same weights.",
    )
    parser.set_defaults(execute=execute)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], help="of subjects.toml")
    which.add_argument("--all", action="store_true", help="every one that is not pinned yet")


def execute(arguments: argparse.Namespace) -> int:
    """Write the commit of published models into fixtures/subjects.toml; 2 if one cannot be pinned."""
    from harness.subjects.pinning import CannotPin, is_pinned, pin, resolve_commit
    from harness.subjects.registry import UnknownSubject, read_registry

    registry = read_registry()
    unknown = [name for name in arguments.names if name not in registry]
    if unknown:
        raise UnknownSubject(f"not in fixtures/subjects.toml: {', '.join(unknown)}")
    status = 0
    names = list(registry) if arguments.all else arguments.names
    for entry in (registry[name] for name in names):
        if is_pinned(entry):
            if not arguments.all:
                where = entry.revision or "it ships with the project"
                print(f"{entry.name}: nothing to pin ({where})")
            continue
        try:
            commit = resolve_commit(entry)
            pin(entry, commit)
        except CannotPin as error:
            print(f"claims pin: {error}", file=sys.stderr)
            status = 2
        else:
            print(f"{entry.name}: pinned to {commit}")
    return status
