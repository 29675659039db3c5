"""The subcommand `claims export`: write the records of a scorecard as a table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.cli.options import Subparsers, find_scorecard
from harness.machine.files import read_json


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "export",
        help="the verdicts of a run as a table, for pandas or a spreadsheet",
        description="Print the records of a scorecard as CSV: one row a verdict, one column a key of the "
        "record, UTF-8, empty where a record has null. In Python: Scorecard.frame().",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    parser.add_argument("--format", choices=["csv"], default="csv", help="default csv")
    parser.add_argument("--out", type=Path, metavar="FILE", help="instead of printing it")


def execute(arguments: argparse.Namespace) -> int:
    """Write the records of a scorecard as CSV, to a file or to the terminal.

    Raises:
        ValueError: There is no scorecard, it cannot be read, or --out names a folder.
    """
    from harness.reporting.scorecard import Scorecard

    path, out = find_scorecard(arguments.run), arguments.out
    if out is not None and out.is_dir():
        raise ValueError(f"--out {out} is a folder: name a file, such as {out / 'verdicts.csv'}")
    content = read_json(path)
    try:
        if not isinstance(content, dict):
            raise ValueError("not a scorecard")
        frame = Scorecard.from_json(content).frame()
    except ValueError as error:
        raise ValueError(f"{path} cannot be exported: {error}") from error
    text = frame.to_csv(index=False, lineterminator="\n")
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_bytes(text.encode())
    return 0
