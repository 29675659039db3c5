"""The subcommand `claims list`: print every claim, or every subject."""

from __future__ import annotations

import argparse

from harness.cli.options import Subparsers


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "list",
        help="print every claim, or every subject with --subjects",
        description="Print every claim with its statement, source, threshold and published numbers, or with "
        "--subjects every subject with its family, kind, memory and the markers that choose it.",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument(
        "--subjects", action="store_true", help="subjects of fixtures/subjects.toml"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print every claim, or every subject."""
    if arguments.subjects:
        from harness.subjects.registry import read_registry

        for entry in read_registry().values():
            marks = ", ".join(f"-m {m}" for m in entry.markers)
            memory = f"{entry.memory_gib:4d} GiB" if entry.memory_gib else 8 * " "
            print(f"{entry.name:20} {entry.family:15} {entry.kind:9} {memory}  {marks}")
        return 0
    from harness.calibration.runs import collect_claims

    for claim in collect_claims():
        threshold = claim.threshold
        print(f"{claim.id}\n  {claim.statement}\n  {claim.source}")
        print(f"  {threshold.direction} {threshold.value:g} {threshold.unit} ({threshold.origin})")
        if threshold.note:
            print(f"  {threshold.note}")
        if claim.published:
            print("  published: " + ", ".join(f"{m} {v:g}" for m, v in claim.published.items()))
    return 0
