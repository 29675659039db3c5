"""The subcommand `claims power`: how likely a run finds the published effects, and what it would take."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers
from harness.machine.files import check_writable, write_json

if TYPE_CHECKING:
    from harness.calibration.power import Row

COLUMNS = (
    ("subject", 18, "<"),
    ("published", 9, ">"),
    ("threshold", 9, ">"),
    ("trials", 6, ">"),
    ("judged", 6, ">"),
    ("power", 5, ">"),
    ("GPU", 7, ">"),
    ("for 0.9", 7, ">"),
    ("GPU", 7, ">"),
)
"""Name, width and alignment of each column."""


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "power",
        help="how likely a run finds what is published, and how many trials make it likely",
        description="For each claim and each model with a published value: the chance that the verdict is "
        "supported if that value is true, with the trials by default, and the trials that make it 0.9. It is "
        "computed with the suite's own intervals and verdicts, in one or two minutes; no model is needed. "
        "Seconds are estimates for one GPU.",
        epilog="exit status: 0 the table is printed; 2 a name has no published value",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument(
        "--claim", action="append", default=[], metavar="TEXT", help="claims with this in their id"
    )
    parser.add_argument(
        "--subject", action="append", default=[], help="this model; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, for programs")


def execute(arguments: argparse.Namespace) -> int:
    """Print the table and write it.

    Raises:
        ValueError: No claim or no model of that name has a published value.
        OSError: The file of --json cannot be written.
    """
    from harness.calibration.power import list_cells, list_notes, make_rows
    from harness.calibration.runs import collect_claims

    cells = list_cells(collect_claims(), only=arguments.claim, subjects=arguments.subject)
    if arguments.json:
        check_writable(arguments.json)
    rows: list[Row] = []
    notes = list_notes()
    for line in render(make_rows(cells), rows):
        print(line, flush=True)
    print()
    for note in notes:
        print(textwrap.fill(note, 112, subsequent_indent="  "))
    if arguments.json:
        write_json(arguments.json, {"rows": [asdict(row) for row in rows], "notes": notes})
        print(f"written to {arguments.json}", file=sys.stderr)
    return 0


def render(made: Iterable[Row], rows: list[Row]) -> Iterator[str]:
    """The lines of the table; each row is kept in `rows` as it is made."""
    claim = ""
    for row in made:
        rows.append(row)
        if row.claim != claim:
            claim = row.claim
            yield f"\n{claim} ({row.experiment}, {row.direction})"
            yield "  " + "  ".join(f"{name:{side}{width}}" for name, width, side in COLUMNS)
        values = (
            row.subject,
            f"{row.published:.3f}",
            f"{row.threshold:.3f}",
            str(row.trials),
            str(row.judged),
            f"{row.power:.2f}",
            format_seconds(row.seconds),
            "-" if row.needed is None else str(row.needed),
            format_seconds(row.seconds_needed),
        )
        line = "  ".join(
            f"{value:{side}{width}}"
            for value, (_, width, side) in zip(values, COLUMNS, strict=True)
        )
        yield f"  {line}"
        if row.note:
            yield f"    {row.note}"


def format_seconds(seconds: float | None) -> str:
    """Format an estimate of seconds in seven characters, such as "~44 s" or "~12 min"; "-" if there is none."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"~{seconds:.0f} s"
    minutes = seconds / 60
    return f"~{minutes:.0f} min" if minutes < 100 else f"~{minutes / 60:.0f} h"
