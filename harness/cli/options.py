"""Options that several subcommands have."""

from __future__ import annotations

import argparse

from harness.subjects.registry import ARRANGEMENTS, BYTES

Subparsers = argparse._SubParsersAction
"""What `ArgumentParser.add_subparsers` gives."""


def add_how(parser: argparse.ArgumentParser) -> None:
    """Add the options that say in which dtype and arrangement a subject is asked."""
    for name, known in (("--dtype", BYTES), ("--arrangement", ARRANGEMENTS)):
        parser.add_argument(name, choices=list(known), help="as in pytest claims")
