"""The command `claims`: what is done outside pytest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from harness.cli import bless, calibrate, check_subject, compare, export, measure, pin, train
from harness.cli import list as listing

COMMANDS = (listing, train, bless, compare, export, calibrate, check_subject, pin, measure)
"""In the order of --help."""

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
    """Run one subcommand; returns the exit status."""
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
        return arguments.execute(arguments)
    except BrokenPipeError:
        # Whoever reads this has enough; what is still buffered must not complain at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError) as error:
        print(f"claims {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"claims {arguments.command}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
