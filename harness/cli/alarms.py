"""The subcommand `claims alarms`: how often the gate is red between models that are the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli.options import Subparsers
from harness.machine.files import check_writable, write_json


def add_arguments(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("alarms")
    parser.set_defaults(execute=execute)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--power", type=int, default=1)
    parser.add_argument("--control", action="append", default=[])
    parser.add_argument("--out", type=Path)


def execute(arguments: argparse.Namespace) -> int:
    from harness.calibration.alarms import CONTROLS, list_asked, measure_alarms
    from harness.reporting.alarms import ALARMS, read_alarms, summarize_alarms

    out = arguments.out or ALARMS
    check_writable(out)
    asked = list_asked(arguments.seeds, arguments.power, arguments.control or CONTROLS)
    content = measure_alarms(
        asked,
        read_alarms(out),
        keep=lambda found: write_json(out, found),
        say=lambda line: print(line, flush=True),
    )
    print(summarize_alarms(content))
    return 0
