"""The command `claims`: all that is done outside pytest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from harness.cli import (
    alarms,
    bless,
    calibrate,
    check_subject,
    compare,
    export,
    floor,
    gallery,
    lint,
    measure,
    pin,
    power,
    prove,
    report,
    seal,
    train,
)
from harness.cli import list as listing
from harness.machine.files import check_checkout

COMMANDS = (
    listing,
    train,
    prove,
    bless,
    compare,
    export,
    report,
    gallery,
    seal,
    lint,
    calibrate,
    floor,
    alarms,
    power,
    check_subject,
    pin,
    measure,
)
"""The modules of the subcommands, in the order of --help."""

ALONE = (compare.execute, export.execute)
"""What the subcommands do that need scorecards and nothing else, so that a wheel can do it, too."""

EPILOG = """\
judging is done by pytest:
  pytest claims                            the embedded subjects, against their baselines
  pytest claims --scorecard out            and write scorecard.json, scorecard.xml, index.html into out/
  pytest claims --subject ./checkpoint     a model of your own (a folder with safetensors)
  pytest claims -m qwen --gpu              the published Qwen models, on a GPU
  pytest claims --subject ./checkpoint --baseline out/scorecard.json
                                           a release against the model before it: red if it lost something
  pytest claims -m control                 subjects whose mechanism is known: is the suite right?

before judging a model of your own: claims check-subject ./checkpoint
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status: 2 if it refuses, 130 if it is interrupted.

    Args:
        argv: Arguments behind `claims`; those of the process if None.
    """
    parser = argparse.ArgumentParser(
        prog="claims",
        description="Claims of papers on visual binding, as tests run against vision-language models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_arguments(subparsers)
    arguments = parser.parse_args(argv)
    try:
        execute: Callable[[argparse.Namespace], int] = arguments.execute
        if execute not in ALONE:
            check_checkout("not from here")
        return execute(arguments)
    except BrokenPipeError:
        # The reader of a pipe has closed it; flushing what is left must not complain at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError) as error:
        print(f"claims {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        tell_kept: Callable[[argparse.Namespace], str] | None
        tell_kept = getattr(arguments, "tell_kept", None)
        kept = f"; {tell_kept(arguments)}: the same command goes on" if tell_kept else ""
        print(f"claims {arguments.command}: interrupted{kept}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
