"""The subcommand `claims alarms`: how often the gate is red between models that are the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli.options import Subparsers
from harness.machine.files import check_writable, write_json

EPILOG = """\
what is compared, for each seed of trials, on each control that has a mechanism to lose:
  served      the same weights in batches of half size, and with eager attention
  permuted    heads, neurons, scales of values, vocabulary, basis of the residual stream, and all of them
  saved       the same numbers in several files, in another order, in double precision
  between     each of these against the one before it
  weakened    a stage of `planted` turned down by 10, 25, 50 and 100%: here red is right (--power)

Every model is measured from the beginning, with the claims of sections 3.3, 3.4 and 4.2 (drawn scenes) and
without blocking, with 24 trials, which takes about 8 s of a core. What is measured is kept in the file after
each control and seed, and the same command goes on; larger numbers add to it. Parts that older code measured
stay and are counted aloud: --out with a new file measures all anew.

exit status: 0 at most 1% of the comparisons of equal models were red, and no permuted one; 1 more were;
2 something could not be judged;
130 interrupted
"""

MOST = 0.01
"""Share of false alarms that is accepted; stated in the issue that asked for it."""


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "alarms",
        help="how often the gate is red between models that are the same",
        description="Compare controls with models that compute the same, and with models that have lost part "
        "of a stage, and count how often the gate is red. Every comparison quotes the result.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=execute, tell_kept=tell_kept)
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="seeds of equal models (default 3)"
    )
    parser.add_argument(
        "--power", type=int, default=1, metavar="N", help="seeds of weakened ones (default 1)"
    )
    parser.add_argument(
        "--control", action="append", default=[], help="only this one; may be repeated"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: reports/alarms.json, which is quoted"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Measure what is not known yet, and say what all of it says; 1 if there are too many false alarms.

    Raises:
        ValueError: There is no such control.
        OSError: The file cannot be written.
    """
    from harness.calibration.alarms import CONTROLS, list_asked, measure_alarms
    from harness.reporting.alarms import (
        ALARMS,
        KINDS,
        count_red,
        list_compared,
        read_alarms,
        render_alarms,
        summarize_alarms,
    )

    out = arguments.out or ALARMS
    check_writable(out)
    if other := set(arguments.control) - set(CONTROLS):
        raise ValueError(f"{', '.join(other)}: compared are {', '.join(CONTROLS)}")
    content = measure_alarms(
        list_asked(arguments.seeds, arguments.power, arguments.control or CONTROLS),
        read_alarms(out),
        keep=lambda found: write_json(out, found),
        say=lambda line: print(line, flush=True),
    )
    table = "\n".join(render_alarms(content))
    print(f"\n{table}\n\n{summarize_alarms(content)}\n\nwritten: {out}")
    same, permuted = (
        count_red(list_compared(content["parts"], kinds)) for kinds in (KINDS, ["permuted"])
    )
    return 1 if same.red > MOST * same.of or permuted.red else 0


def tell_kept(arguments: argparse.Namespace) -> str:
    """What of an interrupted command is kept, in words."""
    from harness.reporting.alarms import ALARMS

    return f"each control and seed that was done is kept in {arguments.out or ALARMS}"
