"""Options that several subcommands share."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from harness.subjects.registry import ARRANGEMENTS, BYTES

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What `ArgumentParser.add_subparsers` returns; each subcommand adds its own parser to it."""


def add_subject_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the dtype and the arrangement in which a subject is asked."""
    for name, known in (("--dtype", BYTES), ("--arrangement", ARRANGEMENTS)):
        parser.add_argument(name, choices=list(known), help="as in pytest claims")
