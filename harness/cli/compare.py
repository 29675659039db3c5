"""The subcommand `claims compare`: say what a run lost against a baseline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers
from harness.machine.files import write_json

if TYPE_CHECKING:
    from harness.reporting.fates import Comparison


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "compare",
        help="what a run lost against a baseline, claim by claim",
        description="Compare two scorecards on the same scenes. Each is the folder of a --scorecard, its "
        "scorecard.json, or the name of a baseline in reports/baselines.",
        epilog="exit status: 0 nothing lost; 1 a claim regressed, is missing on one side or has no verdict, or "
        "the run is partial; 2 a file cannot be read, a run has not finished, or the margin is out of range; 3 "
        "the two were not asked the same and cannot be compared",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("before", help="the baseline")
    parser.add_argument("after", help="the run")
    parser.add_argument(
        "--margin",
        type=float,
        metavar="SHARE",
        help="share of its distance to the threshold that a claim may lose (default 0.25)",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="append a table, for a job's summary"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, for programs")
    parser.add_argument(
        "--partial",
        action="store_true",
        help="let a run of some claims pass, compared in these alone; without it such a run is red",
    )
    parser.add_argument(
        "--strict-heads",
        action="store_true",
        help="red, too, where a stage is carried by other heads, or nobody can tell that it is not",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Compare two scorecards; 1 if the run lost a claim, 3 if the two cannot be compared.

    Raises:
        ValueError: A scorecard cannot be read, or the margin is out of range.
    """
    from harness.reporting.gate import (
        markdown,
        refusal_markdown,
        refusal_to_json,
        render,
        to_json,
    )
    from harness.reporting.sides import NotComparable

    try:
        found = _compare(arguments)
    except (ValueError, OSError) as refusal:
        # What an earlier comparison wrote there must not be taken for this one.
        names = (arguments.before, arguments.after)
        _write(
            arguments,
            refusal_to_json(str(refusal), *names),
            refusal_markdown(str(refusal), *names),
        )
        if not isinstance(refusal, NotComparable):
            raise
        print(f"claims compare: {refusal}", file=sys.stderr)
        return 3
    print("\n".join(render(found)))
    _write(arguments, to_json(found), markdown(found))
    return 1 if found.red else 0


def _compare(arguments: argparse.Namespace) -> Comparison:
    from harness.reporting.compare import MARGIN, compare
    from harness.reporting.sides import load_side
    from harness.runs.baselines import find_baseline_file

    before, after = (
        load_side(find_baseline_file(name)) for name in (arguments.before, arguments.after)
    )
    margin = MARGIN if arguments.margin is None else arguments.margin
    return compare(before, after, margin, partial=arguments.partial, strict=arguments.strict_heads)


def _write(arguments: argparse.Namespace, facts: Mapping[str, object], table: str) -> None:
    """Write what was found to the files that --json and --markdown name."""
    if arguments.json:
        write_json(arguments.json, facts)
    if arguments.markdown:
        with arguments.markdown.open("a", encoding="utf-8") as file:
            file.write(table)
