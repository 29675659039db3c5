"""The subcommand `claims calibrate`: find out how often the suite is wrong."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from harness.cli.options import Subparsers
from harness.machine.files import check_writable, write_json


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "calibrate",
        help="find out how often the suite is wrong",
        description="Judge the controls, many untrained subjects and subjects that are shown the wrong image; "
        "repeat the planted one, and turn its stages down; simulate the intervals. "
        "Some two hours on two cores; run the same command again after an interruption and it goes on. "
        "Exits with 1 if anything is not as it must be, and with 130 if it is interrupted.",
    )
    parser.set_defaults(execute=execute, tell_kept=tell_kept)
    parser.add_argument(
        "--out",
        type=Path,
        help="the JSON (default reports/calibration.json, which scorecards quote)",
    )
    parser.add_argument(
        "--work", type=Path, help="finished parts (default reports/runs/calibration)"
    )
    parser.add_argument("--jobs", type=int, help="processes at once (default: as many as cores)")
    parser.add_argument(
        "--short", action="store_true", help="a minute or two: proof that it runs; needs --out"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Calibrate the suite and write the JSON; 1 if anything is not as it must be."""
    from harness.calibration.calibrate import SHORT, Size, calibrate
    from harness.calibration.summary import find_faults
    from harness.reporting.error_rates import render
    from harness.runs.conclusion import CALIBRATION

    if arguments.short and not arguments.out:
        raise ValueError("--short calibrates nothing: say with --out where its JSON may go")
    out = arguments.out or CALIBRATION
    check_writable(out)
    content = calibrate(
        SHORT if arguments.short else Size(),
        _choose_work(arguments),
        jobs=arguments.jobs or len(os.sched_getaffinity(0)),
        say=lambda line: print(line, flush=True),
    )
    write_json(out, content)
    print("\n".join(["", *render(content), f"written: {out}"]))
    wrong = find_faults(content)
    print(
        "\n".join(
            ["", f"{len(wrong)} not as it must be:", *wrong] if wrong else ["all as it must be"]
        )
    )
    return 1 if wrong else 0


def tell_kept(arguments: argparse.Namespace) -> str:
    """What of an interrupted command is kept, in words."""
    return f"each part that was done is kept in {_choose_work(arguments)}"


def _choose_work(arguments: argparse.Namespace) -> Path:
    """The folder of --work, or the usual one."""
    from harness.machine.files import REPORTS

    return arguments.work or REPORTS / "runs" / "calibration"
