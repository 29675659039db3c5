"""The subcommand `claims prove`: check a control whose weights are written on every scene of two objects."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import Subparsers

if TYPE_CHECKING:
    from harness.training.proof.prove import Proof
    from harness.training.wired.plan import Plan

EPILOG = """\
what is checked of every trial, by hooks in the model's own forward pass and not by the suite's measurements:
  the image tokens hold color, shape and place of what they show
  ID retrieval: the mention holds the place of the object that it names, nearest of all cells of the grid
  ID selection: the last token holds the place of the target
  feature retrieval: at the last token the color of the target is the highest
  each head of a stage speaks for the right object, by what it writes itself
  a stage's heads alone, taken from the other side of the contrast of section 3.4, bring the answer that it
    predicts; all heads but its own and those of later stages, from there and at once, leave the answer
  heads that nothing is wired to, taken from a scene with other objects on other cells, leave the answer
  the answer is the color of the target
and of all trials together: with a stage's heads at their mean, both prompts about an image are answered right
  less often than by guessing (one answer of two is right by chance, so that this cannot be asked of each)

what is not: any other prompt, grid or number of objects; heads at image tokens; MLPs.

examples:
  claims prove planted                     what the claims show a control two of: 432 scenes, under a minute
  claims prove shortcut                    fails: there is no ID retrieval, and the first scene that shows it
  claims prove planted --objects crowded   objects that may share a color or a shape
  claims prove planted --objects every     every color with every shape: 77760 trials, about half an hour
  claims prove planted --weights FOLDER    weights of your own, held to what is written in planted

exit status: 0 everything holds for every trial; 1 it does not, and the first counterexample is printed;
2 the subject has no written truth, or cannot be loaded
"""

EVERY_SECONDS = 5.0
"""How often a long proof says how far it is."""


def add_arguments(subparsers: Subparsers) -> None:
    """Describe the subcommand and its options."""
    parser = subparsers.add_parser(
        "prove",
        help="check a control whose weights are written on every scene of two objects",
        description="Enumerate every scene of two objects on a grid, with both prompts about it, and check for "
        "each what every stage gives and what the answer depends on. Nothing is drawn and nothing estimated: "
        "what holds, holds for this finite set without exception.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(execute=execute)
    parser.add_argument(
        "subject", help="a control whose weights are written: planted, shortcut, ..."
    )
    parser.add_argument(
        "--grid",
        type=int,
        choices=(2, 3),
        default=2,
        help="rows of the grid (default 2, on which the claims of section 3.4 show two objects)",
    )
    parser.add_argument(
        "--objects",
        choices=("distinct", "crowded", "every"),
        default="distinct",
        help="nine that share no feature (default), nine of three colors and three shapes, or all 81",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="instead of those that ship with the control"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Check a control on every scene; 1 if anything does not hold.

    Raises:
        ValueError: The subject has no written truth.
    """
    from harness.stimuli.scene import EMBEDDED_GRIDS
    from harness.subjects.loading import load
    from harness.subjects.registry import find, read_registry
    from harness.training.architectures import Untrained
    from harness.training.proof.prove import PROVABLE, prove
    from harness.training.proof.scenes import OBJECTS
    from harness.training.wired.plans import PLANS

    name = arguments.subject
    if name not in PROVABLE:
        raise ValueError(
            f"{name} has no written truth that could be proved; these have: {', '.join(PROVABLE)}"
        )
    loaded = load(find(str(arguments.weights or name), read_registry()))
    subject = Untrained(loaded.model, loaded.tokenizer, loaded.image_processor)
    grid, objects = EMBEDDED_GRIDS[arguments.grid], OBJECTS[arguments.objects]
    proof = prove(subject, PLANS[name], grid, objects, say_now_and_then())
    print(
        f"{name}: two of {len(objects)} objects ({arguments.objects}) on the {grid.rows}x{grid.rows} grid, "
        f"{len(proof.scenes)} scenes with two prompts each, {proof.trials} trials"
    )
    for line in render(proof, PLANS[name]):
        print(line)
    return 1 if proof.failed else 0


def say_now_and_then() -> Callable[[str], None]:
    """Make a function that prints a line to standard error if none was printed in the last seconds."""
    last = time.monotonic()

    def say(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY_SECONDS:
            last = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    return say


def render(proof: Proof, plan: Plan) -> Iterator[str]:
    """The lines that say what holds, what does not, and on which scene first."""
    from harness.training.proof.checks import STAGES, describe, read_heads

    for finding in proof.findings.values():
        of = f"{finding.checked - finding.failed} of {finding.checked}"
        yield f"  {'FAILED' if finding.failed else 'ok':6} {of:>16}  {finding.name}"
    for stage, (right, both, images) in proof.right_without.items():
        yield (
            f"  without {STAGES[stage]}: {right} of {proof.trials} answers right, "
            f"both about {both} of {images} images"
        )
    absent = [STAGES[stage] for stage, heads in read_heads(plan).items() if not heads]
    if absent:
        yield f"  no head is written for: {', '.join(absent)}"
    yield f"  {proof.checks} checks in {proof.seconds:.0f} s"
    if not proof.failed:
        yield f"proved: all of it holds for each of the {proof.trials} trials"
        return
    first = proof.failed[0]
    yield f"not proved: {len(proof.failed)} of {len(proof.findings)} statements have a counterexample"
    if first.first is not None:
        trial, found = first.first
        yield f"first counterexample: {first.name}"
        yield f"  {describe(trial)}"
        yield f"  {found}"
