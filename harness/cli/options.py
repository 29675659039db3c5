"""Options that several subcommands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from harness.subjects.registry import ARRANGEMENTS, BYTES

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What `ArgumentParser.add_subparsers` returns; each subcommand adds its own parser to it."""


def add_subject_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the dtype and the arrangement in which a subject is asked."""
    for name, known in (("--dtype", BYTES), ("--arrangement", ARRANGEMENTS)):
        parser.add_argument(name, choices=list(known), help="as in pytest claims")


def find_scorecard(run: Path) -> Path:
    """The file of a scorecard that is named by itself or by the folder of --scorecard.

    Raises:
        ValueError: There is no scorecard.
    """
    path = run / "scorecard.json" if run.is_dir() else run
    if not path.is_file():
        raise ValueError(f"{run}: no scorecard there; `pytest claims --scorecard {run}` writes one")
    return path
