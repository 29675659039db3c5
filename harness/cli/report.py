"""The subcommand `claims report`: write the pages of a run anew from its records."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers, find_scorecard

if TYPE_CHECKING:
    from harness.reporting.moved import StageMove


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "report",
        help="the page and the figures of a run again, from its records",
        description="Write index.html, scorecard.xml and the figures of a scorecard anew, from its records and "
        "from the measurements in the store. Nothing is measured and nothing is judged; figures that are "
        "there and drawn from the same are kept.",
    )
    parser.set_defaults(execute=execute)
    add = parser.add_argument
    add("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    add("--store", type=Path, help="where the measurements are (default reports/store)")
    add(
        "--baseline",
        metavar="NAME|DIR",
        help="also say which heads carry each stage against this run, as pytest claims --baseline does",
    )
    add("--out", type=Path, metavar="DIR", help="write into this folder instead of the run's own")


def execute(arguments: argparse.Namespace) -> int:
    """Write the pages of a scorecard anew.

    Raises:
        ValueError: There is no scorecard, it cannot be read, or it cannot be compared with the baseline.
        OSError: The folder cannot be written.
    """
    from harness.measuring.store import Store
    from harness.reporting import error_rates
    from harness.reporting.alarms import read_alarms, summarize_alarms
    from harness.reporting.compare import compare
    from harness.reporting.sides import load_side
    from harness.reporting.writing import write_pages
    from harness.runs.baselines import find_baseline_file
    from harness.runs.conclusion import CALIBRATION, FIGURES
    from harness.runs.options import Options
    from harness.runs.rival_scores import score_rivals

    path = find_scorecard(arguments.run)
    side = load_side(path)
    stages: tuple[StageMove, ...] = ()
    alarms = ""
    if arguments.baseline:
        before = load_side(find_baseline_file(arguments.baseline))
        stages = compare(before, side, partial=True).stages
        alarms = summarize_alarms(read_alarms(), side.card.records)
    folder: Path = arguments.out or path.parent
    # A store that is not there would be made, though nothing is measured.
    store = arguments.store or Options.store
    begun = time.monotonic()
    write_pages(
        side.card,
        Store(store, print) if store.is_dir() else {},
        folder,
        error_rates.read_calibration(CALIBRATION),
        alarms,
        stages=stages,
        score=score_rivals,
        cache=store / FIGURES if store.is_dir() else None,
    )
    print(f"wrote {folder / 'index.html'} in {time.monotonic() - begun:.1f} s")
    return 0
