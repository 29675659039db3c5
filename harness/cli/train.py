"""The subcommand `claims train`: make an embedded subject or a control anew."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers
from harness.machine.files import write_json
from harness.runs.options import parse_seed

if TYPE_CHECKING:
    from harness.training.taught.recipes import Recipe


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "train",
        help="make an embedded subject or a control anew",
        description="Train an embedded subject from its recipe (run the same command again after an "
        "interruption: it goes on from the last checkpoint), teach a control its stages (in one go, about half "
        "an hour), or write the weights of a control.",
    )
    parser.set_defaults(execute=execute)
    parser.add_argument(
        "name", help="tiny-llava or tiny-qwen2-vl; taught, planted, shortcut or another control"
    )
    parser.add_argument("--out", type=Path, help="where it goes (default: its place in fixtures/)")
    parser.add_argument("--work", type=Path, help="checkpoints (default reports/runs/train-NAME)")
    parser.add_argument("--seed", type=parse_seed, help="instead of the recipe's")
    parser.add_argument("--smoke", action="store_true", help="one minute: proof that it runs")


def execute(arguments: argparse.Namespace) -> int:
    """Train an embedded subject, teach a control, or write the weights of one.

    Raises:
        ValueError: --smoke without --out, --seed or --smoke with a control whose weights are written, or a name
            that cannot be made.
    """
    from dataclasses import replace

    from harness.machine.files import FIXTURES, REPORTS
    from harness.training.architectures import ARCHITECTURES
    from harness.training.card import describe, make_card
    from harness.training.evaluation import evaluate
    from harness.training.taught.recipes import RECIPES
    from harness.training.trainer import Recipe, read_spent_hours, train
    from harness.training.wired.plans import PLANS
    from harness.training.wired.shipping import write_control

    if arguments.name in PLANS:
        if arguments.seed is not None or arguments.smoke:
            raise ValueError(
                f"{arguments.name} is a control, whose weights are computed, not trained: "
                "leave out --seed and --smoke"
            )
        out = arguments.out or FIXTURES / "controls" / arguments.name
        write_control(PLANS[arguments.name], out)
        print(f"{arguments.name}: written to {out}")
        return 0
    if arguments.name in RECIPES:
        return _teach(RECIPES[arguments.name], arguments)
    if arguments.name not in ARCHITECTURES:
        raise ValueError(
            f"{arguments.name!r} cannot be made: subjects are {', '.join(ARCHITECTURES)}, "
            f"controls are {', '.join((*RECIPES, *PLANS))}"
        )
    recipe = Recipe(arguments.name)
    if arguments.seed is not None:
        recipe = replace(recipe, seed=arguments.seed)
    if arguments.smoke:
        recipe = recipe.smoke()
    if arguments.smoke and not arguments.out:
        raise ValueError("--smoke makes no usable subject: say with --out where it may go")
    work = arguments.work or REPORTS / "runs" / f"train-{recipe.name}"
    out = arguments.out or FIXTURES / recipe.name
    every = 10 if arguments.smoke else 100
    subject = train(recipe, work, say=lambda line: print(line, flush=True), every=every)
    accuracies = evaluate(subject, prompts=40 if arguments.smoke else 400)
    parameters = sum(p.numel() for p in subject.model.parameters())
    content = make_card(recipe, accuracies, read_spent_hours(work), parameters)
    subject.save(out)
    write_json(out / "card.json", content)
    (out / "README.md").write_text(describe(content))
    for task, (share, n) in accuracies.items():
        print(f"  {task:42} {share:6.1%} of {n}")
    print(f"{recipe.name}: written to {out}")
    return 0


def _teach(recipe: Recipe, arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from harness.machine.files import FIXTURES
    from harness.training.taught.shipping import write_taught
    from harness.training.taught.teacher import train

    if arguments.seed is not None:
        recipe = replace(recipe, seed=arguments.seed)
    if arguments.smoke:
        if not arguments.out:
            raise ValueError("--smoke makes no usable subject: say with --out where it may go")
        recipe = recipe.smoke()
    out = arguments.out or FIXTURES / "controls" / recipe.name
    begun = time.monotonic()
    subject = train(
        recipe, say=lambda line: print(line, flush=True), every=2 if arguments.smoke else 25
    )
    seconds = time.monotonic() - begun
    truth = write_taught(subject, recipe, seconds, out, trials=20 if arguments.smoke else 200)
    for stage, found in truth["measured"]["stages"].items():
        print(f"  {stage}: {found['follow']:.1%} of answers follow its heads")
    print(f"{recipe.name}: written to {out}")
    return 0
