"""Trains an embedded subject: deterministic by its seed, resumed from its last checkpoint.

Every batch is drawn from (seed, step), so a resumed run sees what an undisturbed one would have seen.
Checkpoints are safetensors, never pickles.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from harness.training.architectures import Untrained, build
from harness.training.packing import pack, supervised_logits
from harness.training.tasks import FURTHER, LAYOUTS, TRAINING_TASKS, draw_prompts, draw_scene

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Recipe:
    """How a subject is trained.

    Attributes:
        name: Name of the architecture and of the subject.
        seed: Seed of the weights and of every batch.
        steps: Optimiser steps of the first part, on flat shapes.
        further: Steps of the second part, in which solids join and questions are asked more often; it
            begins with a fresh optimiser.
        images: Images per step.
        prompts: Prompts drawn per image.
        words: Most words of prompts behind one image.
        rate: Highest learning rate, reached after `warmup` steps, then decayed along a cosine to a tenth.
        further_rate: The highest learning rate of the second part.
        warmup: Steps until the highest learning rate.
        decay: Weight decay of AdamW.
        clip: Highest gradient norm.
        questions_from: From this step on every prompt weighs the same; before it, every learned word does. A
            question has one word to learn where a caption has dozens, so it would be learned last.
        threads: Torch threads, on which the last bits of sums depend.
    """

    name: str
    seed: int = 1
    steps: int = 5500
    further: int = 3000
    images: int = 16
    prompts: int = 5
    words: int = 90
    rate: float = 1e-3
    further_rate: float = 6e-4
    warmup: int = 200
    decay: float = 0.01
    clip: float = 1.0
    questions_from: int = 2500
    threads: int = 1

    def smoke(self) -> Recipe:
        """The same recipe cut to about a minute, to prove that the code runs; it makes no usable subject."""
        return replace(
            self, steps=60, further=10, images=8, prompts=3, warmup=10, questions_from=40
        )

    @property
    def whole(self) -> int:
        """The number of training steps of both parts together."""
        return self.steps + self.further


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate at one step: it warms up, then decays along a cosine to a tenth; once for each part."""
    steps, highest = recipe.steps, recipe.rate
    if step >= steps:
        step, steps, highest = step - steps, recipe.further, recipe.further_rate
    if step < recipe.warmup:
        return highest * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, steps - recipe.warmup)
    return highest * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def train(
    recipe: Recipe,
    folder: Path,
    *,
    say: Callable[[str], None] = print,
    every: int = 100,
    keep_every: int = 500,
) -> Untrained:
    """Train a subject, or resume its training, and return it; checkpoints are written to `folder`.

    Args:
        recipe: How to train.
        folder: Where checkpoints are; made if it is not there.
        say: Function that receives a line of progress every `every` steps.
        every: Steps between lines of progress.
        keep_every: Steps between checkpoints.

    Raises:
        ValueError: The folder holds a checkpoint that is damaged or of another recipe.
    """
    torch.set_num_threads(recipe.threads)
    subject = build(recipe.name, recipe.seed)
    model = subject.model.train()
    optimiser = _make_optimiser(recipe, model)
    start, seconds = _resume(recipe, folder, subject, optimiser)
    if start:
        say(f"{recipe.name}: goes on from step {start} of {recipe.whole}")
    begun = time.monotonic() - seconds
    right, seen = np.zeros(len(TRAINING_TASKS)), np.zeros(len(TRAINING_TASKS))
    for step in range(start, recipe.whole):
        further = step >= recipe.steps
        if step == recipe.steps:
            optimiser = _make_optimiser(recipe, model)
        rng = np.random.default_rng([recipe.seed, step])
        layouts = FURTHER if further else LAYOUTS
        scenes = [draw_scene(rng, layouts=layouts) for _ in range(recipe.images)]
        asked = [
            draw_prompts(s, recipe.prompts, recipe.words, rng, further=further) for s in scenes
        ]
        batch = pack(scenes, asked, subject)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step)
        logits = supervised_logits(subject, batch)
        losses = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")
        loss = losses.mean() if step < recipe.questions_from else losses @ batch.prompt_weights()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        hit = (logits.detach().argmax(-1) == batch.labels).numpy()
        right += np.bincount(batch.tasks, hit, len(TRAINING_TASKS))
        seen += np.bincount(batch.tasks, minlength=len(TRAINING_TASKS))
        done = step + 1
        if done % every == 0 or done == recipe.whole:
            share = ", ".join(
                f"{n} {r / max(1, s):.0%}"
                for n, r, s in zip(TRAINING_TASKS, right, seen, strict=True)
            )
            elapsed = time.monotonic() - begun
            left = elapsed / done * (recipe.whole - done)
            at = f"{recipe.name} {done}/{recipe.whole} loss {loss.item():.3f}"
            say(f"{at} | {share} | {left / 60:.0f} min left")
            right[:], seen[:] = 0, 0
        if done % keep_every == 0 or done in (recipe.steps, recipe.whole):
            _save_checkpoint(recipe, folder, subject, optimiser, done, time.monotonic() - begun)
    model.eval()
    return subject


def _make_optimiser(recipe: Recipe, model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        model.parameters(), lr=recipe.rate, betas=(0.9, 0.95), weight_decay=recipe.decay
    )


def read_spent_hours(folder: Path) -> float:
    """Hours of training behind the checkpoint in a folder."""
    return _read_progress(folder)["seconds"] / 3600


def _save_checkpoint(
    recipe: Recipe,
    folder: Path,
    subject: Untrained,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [n for n, _ in subject.model.named_parameters()]
    state = optimiser.state_dict()["state"]
    tensors = {f"model.{k}": v.contiguous() for k, v in subject.model.state_dict().items()}
    for index, name in enumerate(names):
        for key, value in state.get(index, {}).items():
            tensors[f"optimiser.{key}.{name}"] = value.contiguous()
    # Progress is stored with the tensors, so that a killed process never leaves one without the other.
    progress = {"recipe": asdict(recipe), "step": step, "seconds": seconds}
    save_file(tensors, folder / "checkpoint.tmp", metadata={"progress": json.dumps(progress)})
    os.replace(folder / "checkpoint.tmp", folder / CHECKPOINT)


def _read_progress(folder: Path) -> dict[str, Any]:
    with safe_open(folder / CHECKPOINT, framework="pt") as file:
        return json.loads(file.metadata()["progress"])


def _resume(
    recipe: Recipe, folder: Path, subject: Untrained, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    if not (folder / CHECKPOINT).exists():
        return 0, 0.0
    try:
        progress = _read_progress(folder)
        tensors = load_file(folder / CHECKPOINT)
    except SafetensorError as error:
        raise ValueError(f"{folder / CHECKPOINT} is damaged ({error}); delete it") from error
    if progress["recipe"] != asdict(recipe):
        raise ValueError(
            f"{folder} holds a checkpoint of another recipe: {progress['recipe']}; "
            "train into another folder or delete that one"
        )
    model = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    subject.model.load_state_dict(model)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for index, (name, _) in enumerate(subject.model.named_parameters()):
        state[index] = {
            key: tensors[f"optimiser.{key}.{name}"]
            for key in ("step", "exp_avg", "exp_avg_sq")
            # A parameter that gets no gradient (LLaVA's unused last norm) has no state.
            if f"optimiser.{key}.{name}" in tensors
        }
    state = {index: facts for index, facts in state.items() if facts}
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )
    return progress["step"], progress["seconds"]
