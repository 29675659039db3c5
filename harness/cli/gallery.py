"""The subcommand `claims gallery`: draw every figure of a subject as PNG and SVG."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.cli.options import Subparsers, add_subject_options
from harness.runs.options import parse_seed, parse_trials


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "gallery",
        help="every figure of a subject, as PNG and SVG",
        description="Draw every figure of a subject from the measurements in the store, as PNG and SVG, with "
        "captions in captions.md. What is not in the store is measured first. Exits with 1 if anything "
        "could not be measured; the other figures are drawn all the same.",
    )
    parser.set_defaults(execute=execute)
    add = parser.add_argument
    add("subject", metavar="NAME|FOLDER", help="as in pytest claims --subject")
    add("--out", type=Path, default=Path("gallery"), metavar="DIR", help="default: gallery")
    add("--family", help="as in pytest claims")
    add("--gpu", action="store_true", help="measure on a GPU")
    add_subject_options(parser)
    add("--trials", type=parse_trials, help="instead of each experiment's own number")
    add("--seed", type=parse_seed, default=0, help="of all stimuli (default 0)")
    add("--store", type=Path, help="where the measurements are kept (default reports/store)")


def execute(arguments: argparse.Namespace) -> int:
    """Measure what is not in the store, and draw all figures; 1 if anything could not be measured.

    Raises:
        OSError: A figure cannot be written.
    """
    from harness.machine.files import write_bytes
    from harness.measuring.store import Store
    from harness.reporting.drawing import DRAWN, draw_gallery
    from harness.runs import ahead
    from harness.runs.options import Options
    from harness.subjects.registry import read_registry

    name = arguments.subject
    if name not in read_registry() and Path(name).is_dir():
        name = str(Path(name).absolute())
    options = Options(
        subjects=(name,),
        family=arguments.family,
        gpu=arguments.gpu,
        dtype=arguments.dtype,
        arrangement=arguments.arrangement,
        trials=arguments.trials,
        seed=arguments.seed,
        baseline="none",
        store=(arguments.store or Options.store).absolute(),
    )
    wanted = ahead.choose_experiments(DRAWN)
    done = ahead.measure_locally(options, wanted, lambda line: print(line, flush=True))
    store = Store(options.store, print)
    kept = {result.key: store.get(result.key) for result in done if result.key}
    found = {key: data for key, data in kept.items() if data is not None}
    pictures = draw_gallery(found, arguments.out)
    told = ["# Figures\n\n"] + [
        f"## {p.title}\n\n![{p.title}]({p.filename})\n\n{p.caption}\n\n" for p in pictures
    ]
    write_bytes(arguments.out / "captions.md", "".join(told).encode())
    problems = [result.problem for result in done if result.problem]
    print(f"{len(pictures)} figures, as PNG and SVG, are in {arguments.out}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0
