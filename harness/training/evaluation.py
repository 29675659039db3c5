"""Measures accuracy per task on scenes that were never trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from harness.stimuli.prompt import Prompt, scene_description
from harness.stimuli.scene import EMBEDDED_GRIDS, Scene
from harness.training.architectures import Untrained
from harness.training.packing import pack, supervised_logits
from harness.training.tasks import (
    LAYOUTS,
    SOLIDS,
    TRAINING_TASKS,
    SceneMix,
    TrainingTask,
    draw_objects,
    draw_scene,
    is_held_out,
)

EVALUATION_SEED = 20_000
"""Seed of evaluation; no training uses it, so no batch of evaluation was seen in training."""

Accuracies = dict[str, tuple[float, int]]
"""Task to (share of right completions, number of prompts)."""

Drawer = Callable[[np.random.Generator], tuple[Scene, Prompt]]
"""Draws a held-out scene and a prompt about it."""


@torch.no_grad()
def evaluate(subject: Untrained, prompts: int = 400, *, rows: int = 50) -> Accuracies:
    """Measure the share of completions that are right word for word, for every task.

    A completion counts if every supervised word of it is the likeliest one given the words before.

    Args:
        subject: The model, which is left in evaluation mode.
        prompts: Number of prompts per task, each about a scene of its own.
        rows: Number of prompts in one pass.

    Returns:
        Task to (accuracy, prompts); "scene description, high entropy, 2x2" is the set the claims use.
    """
    subject.model.eval()
    results = {}
    drawn = {name: _make_drawer(task) for name, task in TRAINING_TASKS.items()}
    for entropy in ("high", "low"):
        drawn[f"scene description, {entropy} entropy, 2x2"] = _make_drawer_of_four(entropy)
    for name in SOLID_TASKS:
        drawn[f"{name}, solids"] = _make_drawer(TRAINING_TASKS[name], SOLIDS)
    for index, (name, draw) in enumerate(drawn.items()):
        rng = np.random.default_rng([EVALUATION_SEED, index])
        right: list[bool] = []
        while len(right) < prompts:
            pairs = [draw(rng) for _ in range(min(rows, prompts - len(right)))]
            task = name.split(",")[0]
            batch = pack([s for s, _ in pairs], [[(task, p)] for _, p in pairs], subject)
            hit = (supervised_logits(subject, batch).argmax(-1) == batch.labels).numpy()
            for owner in range(len(pairs)):
                right.append(bool(hit[(batch.owners == owner) & batch.completes].all()))
        results[name] = (float(np.mean(right)), len(right))
    return results


SOLID_TASKS = ("scene description", "color of a shape", "numbered list")
"""Tasks that the claims ask about solids."""


def _make_drawer(task: TrainingTask, layouts: SceneMix = LAYOUTS) -> Drawer:
    def draw(rng: np.random.Generator) -> tuple[Scene, Prompt]:
        while True:
            scene = draw_scene(rng, evaluation=True, layouts=layouts)
            prompt = task.draw(scene, rng)
            if prompt is not None:
                return scene, prompt

    return draw


def _make_drawer_of_four(entropy: str) -> Drawer:
    def draw(rng: np.random.Generator) -> tuple[Scene, Prompt]:
        grid = EMBEDDED_GRIDS[2]
        while True:
            objects = draw_objects(4, entropy, rng)
            where = rng.permutation(4)
            scene = Scene(grid, objects, tuple(grid.cells[i] for i in where))
            if is_held_out(scene):
                described = tuple(objects[i] for i in rng.permutation(range(1, 4)))
                return scene, scene_description(described, objects[0])

    return draw
