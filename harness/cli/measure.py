"""The subcommand `claims measure`: measure into a store, so that pytest only has to judge."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.cli.options import Subparsers, add_subject_options
from harness.runs.options import parse_seed, parse_trials


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "measure",
        help="measure into a store, so that pytest only has to judge",
        description="Run experiments on subjects and keep what they measure; `pytest claims` with the same "
        "--store, --seed, --trials, --dtype, --arrangement and --attention then judges it and measures "
        "nothing. All are run, also where claims would be blocked, but for those on photographs, which pytest "
        "measures. Run the same command again after an interruption: what is kept is not measured again. "
        "Exits with 1 if anything could not be measured.",
    )
    parser.set_defaults(execute=execute)
    add = parser.add_argument
    add("--subject", action="append", default=[], metavar="NAME|FOLDER", help="as in pytest claims")
    add("--family", help="as in pytest claims")
    add("--gpu", action="store_true", help="on GPUs; adds the hub's subjects, as in pytest claims")
    add_subject_options(parser)
    add("--experiment", action="append", default=[], help="by name, several times; default: all")
    add("--trials", type=parse_trials, help="instead of each experiment's own number")
    add("--seed", type=parse_seed, default=0, help="of all stimuli (default 0)")
    add("--store", type=Path, help="where to keep it (default reports/store)")
    add(
        "--attention",
        choices=["sdpa", "eager"],
        default="sdpa",
        help="attention implementation (default sdpa)",
    )
    add(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="ray: spread over a Ray cluster whose nodes share the folder of --store (extra: cluster)",
    )
    add("--address", help="of the Ray cluster; default: one is started on this machine")


def execute(arguments: argparse.Namespace) -> int:
    """Measure experiments on subjects into a store; 1 if anything could not be measured.

    Raises:
        ValueError: --address is given without --engine ray.
    """
    from harness.runs import ahead
    from harness.runs.options import Options
    from harness.subjects.registry import read_registry

    if arguments.address and arguments.engine != "ray":
        raise ValueError("--address is of a Ray cluster: add --engine ray")
    # Paths are made absolute, since another node has another working folder.
    subjects = [
        s if s in read_registry() or not Path(s).is_dir() else str(Path(s).absolute())
        for s in arguments.subject
    ]
    options = Options(
        subjects=tuple(subjects),
        family=arguments.family,
        gpu=arguments.gpu,
        dtype=arguments.dtype,
        arrangement=arguments.arrangement,
        trials=arguments.trials,
        seed=arguments.seed,
        baseline="none",
        store=(arguments.store or Options.store).absolute(),
        attention=arguments.attention,
    )
    experiments = ahead.choose_experiments(arguments.experiment)
    if arguments.engine == "ray":
        done = ahead.measure_on_ray(options, experiments, arguments.address)
    else:
        done = ahead.measure_locally(options, experiments, lambda line: print(line, flush=True))
    problems = [result.problem for result in done if result.problem]
    print(f"{len(done) - len(problems)} of {len(done)} measurements are in {options.store}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0
