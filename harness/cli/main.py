"""The command `claims`: what is done outside pytest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.cli import commands
from harness.subjects.registry import ARRANGEMENTS, BYTES

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
    listing = subparsers.add_parser(
        "list", help="print every claim, or every subject with --subjects"
    )
    listing.add_argument(
        "--subjects", action="store_true", help="subjects of fixtures/subjects.toml"
    )
    training = subparsers.add_parser(
        "train",
        help="make an embedded subject or a control anew",
        description="Train an embedded subject from its recipe (run the same command again after an "
        "interruption: it goes on from the last checkpoint), or write the weights of a control.",
    )
    training.add_argument(
        "name", help="tiny-llava or tiny-qwen2-vl; planted, shortcut or another control"
    )
    training.add_argument(
        "--out", type=Path, help="where it goes (default: its place in fixtures/)"
    )
    training.add_argument("--work", type=Path, help="checkpoints (default reports/runs/train-NAME)")
    training.add_argument("--seed", type=int, help="instead of the recipe's")
    training.add_argument("--smoke", action="store_true", help="one minute: proof that it runs")
    blessing = subparsers.add_parser(
        "bless",
        help="make a run the baseline of its subjects",
        description="Copy the verdicts of a run to reports/baselines/SUBJECT.json, one file per subject. "
        "A partial run, or one with errors or missing claims, is refused.",
    )
    blessing.add_argument("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    blessing.add_argument("--into", type=Path, help="another folder than reports/baselines")
    comparing = subparsers.add_parser(
        "compare",
        help="what a run lost against a baseline, claim by claim",
        description="Compare two scorecards on the same scenes. Each is the folder of a --scorecard, its "
        "scorecard.json, or the name of a baseline in reports/baselines.",
        epilog="exit status: 0 nothing lost; 1 a claim regressed, is missing on one side or has no verdict; "
        "2 a file cannot be read; 3 the two were not asked the same and cannot be compared",
    )
    comparing.add_argument("before", help="the baseline")
    comparing.add_argument("after", help="the run")
    comparing.add_argument(
        "--margin",
        type=float,
        metavar="SHARE",
        help="share of its distance to the threshold that a claim may lose (default 0.25)",
    )
    comparing.add_argument(
        "--markdown", type=Path, metavar="FILE", help="append a table, for a job's summary"
    )
    comparing.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything, for programs"
    )
    exporting = subparsers.add_parser(
        "export",
        help="the verdicts of a run as a table, for pandas or a spreadsheet",
        description="Print the records of a scorecard as CSV: one row a verdict, one column a key of the "
        "record, UTF-8, empty where a record has null. In Python: Scorecard.frame().",
    )
    exporting.add_argument("run", type=Path, help="folder of --scorecard, or its scorecard.json")
    exporting.add_argument("--format", choices=["csv"], default="csv", help="default csv")
    exporting.add_argument("--out", type=Path, metavar="FILE", help="instead of printing it")
    calibrating = subparsers.add_parser(
        "calibrate",
        help="find out how often the suite is wrong",
        description="Judge the controls, many untrained subjects and subjects that are shown the wrong image; "
        "repeat the planted one; simulate the intervals; break the code and see whether a test notices. "
        "An hour and a half on two cores; run the same command again after an interruption and it goes on. "
        "Exits with 1 if anything is not as it must be.",
    )
    calibrating.add_argument(
        "--out",
        type=Path,
        help="the JSON (default reports/calibration.json, which scorecards quote)",
    )
    calibrating.add_argument(
        "--work", type=Path, help="finished parts (default reports/runs/calibration)"
    )
    calibrating.add_argument(
        "--jobs", type=int, help="processes at once (default: as many as cores)"
    )
    calibrating.add_argument(
        "--short", action="store_true", help="a minute or two: proof that it runs; needs --out"
    )
    checking = subparsers.add_parser(
        "check-subject",
        help="find out whether a checkpoint of your own can be measured",
        description="Load a checkpoint and try, by effect, all that the experiments take for granted. One line "
        "per check; exits with 1 if any fails, with 2 if the checkpoint cannot be loaded (docs/subjects.md).",
    )
    checking.add_argument("subject", help="a folder with safetensors, or a name of subjects.toml")
    checking.add_argument("--family", help="where config.json does not say")
    checking.add_argument("--gpu", action="store_true", help="on a GPU")
    _add_how(checking)
    pinning = subparsers.add_parser(
        "pin",
        help="write the commit of published models into subjects.toml",
        description="Find out which commit the revision of a published model stands for, on the hub or in its "
        "local cache, and write it into fixtures/subjects.toml, so that a later run gets the same weights.",
    )
    which = pinning.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], help="of subjects.toml")
    which.add_argument("--all", action="store_true", help="every one that is not pinned yet")
    _add_measure(subparsers)
    arguments = parser.parse_args(argv)
    try:
        return _COMMANDS[arguments.command](arguments)
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


def _add_how(parser: argparse.ArgumentParser) -> None:
    for name, known in (("--dtype", BYTES), ("--arrangement", ARRANGEMENTS)):
        parser.add_argument(name, choices=list(known), help="as in pytest claims")


def _add_measure(subparsers: argparse._SubParsersAction) -> None:
    measuring = subparsers.add_parser(
        "measure",
        help="measure into a store, so that pytest only has to judge",
        description="Run experiments on subjects and keep what they measure; `pytest claims` with the same "
        "--store, --seed and --trials then judges it and measures nothing. All are run, also where claims "
        "would be blocked, but for those on photographs, which pytest measures. Run the same command again "
        "after an interruption: what is kept is not measured again. Exits with 1 if anything could not be "
        "measured.",
    )
    add = measuring.add_argument
    add("--subject", action="append", default=[], metavar="NAME|FOLDER", help="as in pytest claims")
    add("--family", help="as in pytest claims")
    add("--gpu", action="store_true", help="on GPUs; adds the hub's subjects, as in pytest claims")
    _add_how(measuring)
    add("--experiment", action="append", default=[], help="by name, several times; default: all")
    add("--trials", type=int, help="instead of each experiment's own number")
    add("--seed", type=int, default=0, help="of all stimuli (default 0)")
    add("--store", type=Path, help="where to keep it (default reports/store)")
    add("--attention", choices=["sdpa", "eager"], default="sdpa")
    add(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="ray: spread over a Ray cluster whose nodes share the folder of --store (extra: cluster)",
    )
    add("--address", help="of the Ray cluster; default: one is started on this machine")


_COMMANDS = {
    "list": commands.listed,
    "train": commands.train,
    "bless": commands.bless,
    "compare": commands.compare,
    "export": commands.export,
    "calibrate": commands.calibrate,
    "check-subject": commands.check_subject,
    "pin": commands.pin,
    "measure": commands.measure,
}


if __name__ == "__main__":
    sys.exit(main())
