"""The subcommand `claims seal`: write down what will be asked, before there is a candidate."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli.options import Subparsers
from harness.runs.options import parse_seed, parse_trials


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "seal",
        help="write down what will be asked, before there is a candidate",
        description="Write every claim with its threshold and exceptions, the trials and preconditions of "
        "every experiment, the seed, and a digest of what draws scenes, to one JSON file. "
        "`pytest claims --seal FILE` then refuses to ask anything else.",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument("file", type=Path, help="a new file; a seal is written once")
    parser.add_argument(
        "--seed", type=parse_seed, default=0, metavar="N", help="as in pytest claims"
    )
    parser.add_argument("--trials", type=_trials, metavar="N|auto", help="as in pytest claims")
    parser.add_argument("--no-gate", action="store_false", dest="gate", help="as in pytest claims")


def _trials(text: str) -> int | str:
    from harness.statistics.looks import AUTO

    return text if text == AUTO else parse_trials(text)


def execute(arguments: argparse.Namespace) -> int:
    """Write a seal, and print its digest and how it is used.

    Raises:
        RuntimeError: The claims cannot be collected.
        ValueError: The file is there already, or the trials are too few for any run.
    """
    from harness.calibration.collecting import write_seal
    from harness.machine.files import check_writable
    from harness.statistics.estimate import MINIMUM_CLUSTERS

    path, trials = arguments.file, arguments.trials
    if path.exists():
        raise ValueError(f"{path} is there already, and a seal is written once: name another file")
    if isinstance(trials, int) and trials < 2 * MINIMUM_CLUSTERS:
        raise ValueError(f"--trials {trials}: a run needs at least {2 * MINIMUM_CLUSTERS}")
    check_writable(path)
    digest = write_seal(path, seed=arguments.seed, trials=trials, gate=arguments.gate)
    print(f"{path}: sealed, digest {digest}")
    print(
        "Keep the digest where nobody can change it (a commit, a ticket): it says that this came first."
    )
    options = [f"--seed {arguments.seed}"] if arguments.seed else []
    options += [f"--trials {trials}"] if trials is not None else []
    options += [] if arguments.gate else ["--no-gate"]
    print(" ".join(["pytest claims --subject ./candidate --seal", str(path), *options]))
    return 0
