"""Writes a taught control as it ships: weights, the truth that was measured, and a card for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.machine.files import write_json
from harness.stimuli.contrast import CONDITIONS
from harness.training.architectures import HEADS, LAYERS, Untrained
from harness.training.evaluation import Accuracies, evaluate
from harness.training.taught.recipes import Recipe
from harness.training.taught.truth import measure_codes, measure_places, measure_stages
from harness.training.wired.shipping import STAGES

GATHER = "places of all objects"
"""What the head outside the stages does that every taught control has."""


def write_taught(
    subject: Untrained, recipe: Recipe, seconds: float, folder: Path, *, trials: int = 200
) -> dict[str, Any]:
    """Measure what a subject was taught and write it to a folder, with truth.json and README.md beside it.

    Args:
        subject: The subject, in evaluation mode.
        recipe: What it was taught.
        seconds: Duration of the training by the wall clock.
        folder: Where it goes.
        trials: Held-out trials of each contrast; of the codes four times as many.

    Returns:
        What truth.json holds.
    """
    subject.save(folder)
    truth = measure_truth(subject, recipe, trials)
    write_json(folder / "truth.json", truth)
    accuracies = evaluate(subject, prompts=trials)
    (folder / "README.md").write_text(describe(recipe, truth, accuracies, seconds))
    return truth


def measure_truth(subject: Untrained, recipe: Recipe, trials: int) -> dict[str, Any]:
    """What truth.json holds: the heads that were taught, and what plain hooks find at them.

    The keys `subject`, `heads`, `others`, `places` and `size` are those of the controls that are written; a
    place is "relative" where most answers follow that, else None, since a place in the image looks as no effect
    does. `measured` has the figures.
    """
    followed = measure_places(subject, recipe.heads, trials)
    codes = measure_codes(subject, 4 * trials)
    return {
        "subject": recipe.name,
        "heads": {stage: [list(p) for p in recipe.heads[stage]] for stage in CONDITIONS},
        "others": {GATHER: [list(recipe.gather)]},
        "places": "relative" if followed["relative"] > 0.5 else None,
        "size": {"layers": LAYERS, "heads": HEADS},
        "measured": {
            "stages": measure_stages(subject, recipe.heads, trials),
            "places": followed,
            "codes": codes,
            "order_at_last": find_order(codes),
        },
    }


def find_order(codes: dict[str, dict[str, Any]]) -> list[str]:
    """Position and features at the last token in the order of their onsets; empty where it cannot be told."""
    onset = {name: codes[f"{name}@last"]["onset"] for name in ("position", "features")}
    if None in onset.values() or onset["position"] == onset["features"]:
        return []
    return sorted(onset, key=lambda name: onset[name])


WHAT = {
    True: "Its answer depends on\nthese heads alone: with all other heads patched it stays what it was.",
    False: "The content route stays\nbeside the mechanism: features of the answer stand at the last token "
    "before the target's place does, so that a\nclaim that the place comes first must be refused.",
}


def describe(recipe: Recipe, truth: dict[str, Any], accuracies: Accuracies, seconds: float) -> str:
    """Write the card for people, for README.md beside the weights."""
    measured = truth["measured"]
    stages = "\n".join(
        f"| {STAGES[s]} | {_list_heads(recipe.heads[s])} | {m['follow']:.1%} "
        f"| {', '.join(f'{a:.0%}' for a in m['follow_alone'])} | {m['right_without']:.1%} | {m['stay']:.1%} |"
        for s, m in measured["stages"].items()
    )
    codes = "\n".join(
        f"| {name}, {what} | {' | '.join(f'{a:.2f}' for a in code[what])} "
        f"| {'none' if code['onset'] is None else code['onset']} |"
        for name, code in measured["codes"].items()
        for what in ("size", "accuracy")
    )
    tasks = "\n".join(f"| {task} | {a:.1%} | {n} |" for task, (a, n) in accuracies.items())
    trials = measured["stages"][CONDITIONS[0]]["trials"]
    settings = ", ".join(
        f"{k} {v}" for k, v in asdict(recipe).items() if isinstance(v, int | float | tuple)
    )
    places = measured["places"]
    return f"""# {recipe.name}

A control whose stages are trained in, at heads that were chosen beforehand (`claims train {recipe.name}`).
It is messier than the controls whose weights are written, as trained models are. {WHAT[recipe.strict]}

It begins with the weights of `{recipe.start}`; the vision tower and the projector stay as they are. It learns
the task and the other tasks of that subject; linear read-outs of the codes and the objects that heads should
look at, as scaffolding; and that the answer follows heads patched from another scene, as the contrasts of
section 3.4 predict. {seconds:.0f} seconds of training, with these settings:

{settings}.

## Truth

Measured by plain hooks on {trials} held-out contrasts for each stage, without the suite. Layers and heads count
from 0; `truth.json` says the same for programs. Shares of answers: that follow a patch of all heads of the
stage, and of each alone; that are right when these heads give their mean; that stay when all other heads are
patched at all tokens from the first mention on.

| stage | heads | follow | each alone | right without | stay |
|---|---|---|---|---|---|
{stages}

Layer {recipe.gather[0]} head {recipe.gather[1]} brings the {GATHER} to the last token, the same on both
sides of the contrasts. Selection heads patched from a pair of objects one column further make the answer
follow the place in the group in {places["relative"]:.0%}, the place in the image in {places["absolute"]:.0%}.
The latter is also the answer without a patch.

Codes after each layer, on held-out scenes of four objects: their size (the share of the states' variance
between places or colors), the accuracy of a linear read-out (chance: 0.25 for positions, 0.11 for features),
which finds codes of any size, and the first layer with half of the largest size. By these layers the order at
the last token is: {", then ".join(measured["order_at_last"]) or "none"}.

| code | {" | ".join(map(str, range(LAYERS)))} | onset |
|---|{"---|" * LAYERS}---|
{codes}

## Held-out accuracy

| task | right | prompts |
|---|---|---|
{tasks}
"""


def _list_heads(places: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"layer {layer} head {head}" for layer, head in places)
