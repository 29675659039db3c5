"""The card beside an embedded subject: how it was made, and what it can and cannot do."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from harness.training.evaluation import Accuracies
from harness.training.trainer import Recipe


def make_card(
    recipe: Recipe, accuracies: Accuracies, hours: float, parameters: int
) -> dict[str, Any]:
    """Make the card as plain values, for card.json.

    Args:
        recipe: The recipe of the training.
        accuracies: From `evaluate`, on scenes that were never trained on.
        hours: Duration of the training by the wall clock.
        parameters: Number of parameters of the model.
    """
    return {
        "subject": recipe.name,
        "recipe": asdict(recipe),
        "made": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {recipe.threads} thread(s)",
        "hours": round(hours, 2),
        "parameters": parameters,
        "versions": {p: version(p) for p in ("torch", "transformers", "tokenizers")},
        "held_out_accuracy": {
            task: {"accuracy": round(share, 4), "prompts": n}
            for task, (share, n) in accuracies.items()
        },
        "not_right_in_most": sorted(t for t, (share, _) in accuracies.items() if share < 0.5),
        "licence": "Apache-2.0",
    }


def describe(content: dict[str, Any]) -> str:
    """Write the card for people, for README.md beside the weights."""
    recipe = content["recipe"]
    rows = "\n".join(
        f"| {task} | {facts['accuracy']:.1%} | {facts['prompts']} |"
        for task, facts in content["held_out_accuracy"].items()
    )
    weak = ", ".join(content["not_right_in_most"]) or "none"
    return f"""# {content["subject"]}

A small vision-language model of a real `transformers` architecture, trained by this project's own recipe
so that the suite has something to judge where no checkpoint can be downloaded. {content["parameters"]:,}
parameters, word-level tokenizer, images of 112 px as 8x8 tokens.

Made on {content["made"]} with `claims train {content["subject"]}`: {recipe["steps"]} steps of
{recipe["images"]} images with up to {recipe["prompts"]} prompts each, seed {recipe["seed"]},
{content["hours"]} hours on {content["machine"]}.

## Held-out accuracy

Whole completions, word for word, on scenes that were never trained on (one scene in sixteen is kept apart
by the hash of its pixels).

| task | right | prompts |
|---|---|---|
{rows}

## What it does not do

- Tasks it gets wrong in most cases: {weak}.
- It reads only the words of its prompts; anything else is unknown to it.
- It was trained to caption, not to bind by position IDs: whether it does is what the claims find out.
- Its images are flat shapes on white. Nothing about it says anything about photographs.
"""
