"""Teaches a control: the task, the read-outs and the interchange losses, from an embedded subject's weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from harness.machine.files import FIXTURES
from harness.stimuli.contrast import CONDITIONS
from harness.training.architectures import Untrained, build
from harness.training.packing import pack, supervised_logits
from harness.training.tasks import FURTHER, draw_prompts, draw_scene
from harness.training.taught.decoder import Decoder
from harness.training.taught.groups import FURTHER as FURTHER_LAYOUTS
from harness.training.taught.groups import LAYOUTS, draw_group, draw_layout
from harness.training.taught.lessons import LESSONS, OTHERS, PART, teach
from harness.training.taught.recipes import Recipe
from harness.training.taught.scaffold import ReadOuts, measure_looks, measure_strays
from harness.training.taught.sheets import Clean, read_sheet, write_sheet

INTERCHANGE = 4.0
"""Weight of the interchange losses, where the task has 1."""

STRAY = 3.0
"""Weight of what heads outside a stage bring of its code."""


def begin(recipe: Recipe) -> Untrained:
    """The embedded subject that a recipe begins with, with the vision tower and the projector frozen."""
    subject = build(recipe.start, 0)
    loaded = type(subject.model).from_pretrained(FIXTURES / recipe.start, dtype=torch.float32)
    for name, parameter in loaded.named_parameters():
        parameter.requires_grad_("language_model" in name or "lm_head" in name)
    return replace(subject, model=loaded.train())


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate at one step: it warms up, then decays along a cosine towards a tenth; once for each part."""
    steps, highest = recipe.horizons[0], recipe.rate
    if step >= recipe.steps:
        step, steps, highest = step - recipe.steps, recipe.horizons[1], recipe.further_rate
    if step < recipe.warmup:
        return highest * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, steps - recipe.warmup)
    return highest * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def train(recipe: Recipe, *, say: Callable[[str], None] = print, every: int = 50) -> Untrained:
    """Teach a control and return it.

    Args:
        recipe: What to teach.
        say: Function that receives a line of progress every `every` steps.
        every: Steps between lines of progress.
    """
    torch.set_num_threads(recipe.threads)
    subject = begin(recipe)
    for part in (range(recipe.steps), range(recipe.steps, recipe.whole)):
        if part:
            teach_part(subject, recipe, part, say=say, every=every)
    subject.model.eval()
    return subject


def teach_part(
    subject: Untrained, recipe: Recipe, part: range, *, say: Callable[[str], None], every: int
) -> None:
    """Take the steps of one part, with an optimiser and read-outs of its own; the subject changes in place."""
    decoder, outs = Decoder(subject), ReadOuts(recipe)
    learned = [p for p in subject.model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": learned, "factor": 1.0}, {"params": list(outs.parameters()), "factor": 4.0}],
        lr=recipe.rate,
        betas=(0.9, 0.95),
        weight_decay=0.01,
    )
    begun = time.monotonic()
    sums: dict[str, list[float]] = {}
    for step in part:
        rng = np.random.default_rng([recipe.seed, step])
        layout = draw_layout(LAYOUTS if step < recipe.steps else FURTHER_LAYOUTS, rng)
        groups = [draw_group(layout, rng) for _ in range(layout.groups)]
        clean = read_sheet(decoder, write_sheet(groups, subject))
        loss, noted = _weigh(decoder, outs, clean, recipe, step, rng)
        for key, value in noted.items():
            sums.setdefault(f"{layout.objects} {key}", []).append(value)
        mixed = _mix(subject, recipe, rng)
        sums.setdefault("other tasks", []).append(mixed.item())
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step) * group["factor"]
        optimiser.zero_grad(set_to_none=True)
        (loss + mixed).backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        done = step + 1
        if done % every == 0 or done == part.stop:
            shown = ", ".join(f"{k} {np.mean(v):.2f}" for k, v in sums.items())
            left = (time.monotonic() - begun) / (done - part.start) * (part.stop - done) / 60
            say(f"{recipe.name} {done}/{recipe.whole} | {shown} | {left:.0f} min left of this part")
            sums = {}


def _weigh(
    decoder: Decoder,
    outs: ReadOuts,
    clean: Clean,
    recipe: Recipe,
    step: int,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, dict[str, float]]:
    """All losses on one sheet, weighted and added, and what is to be reported of them."""
    sheet = clean.sheet
    logits = decoder.read(clean.at(-1, [sheet.tokens - 1])[:, :, 0])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), sheet.color_ids.flatten())
    noted = {"task": (logits.argmax(-1) == sheet.color_ids).float().mean().item()}
    read, right = outs.losses(clean)
    loss = loss + 2 * read
    noted |= right
    for stage, looks in measure_looks(decoder, clean, recipe).items():
        loss = loss - (looks + 1e-4).log().mean()
        noted[f"look {stage}"] = looks.mean().item()
    strays = measure_strays(clean, recipe)
    loss = loss + STRAY * strays.sum()
    noted |= dict(zip((f"stray {s}" for s in CONDITIONS), strays.tolist(), strict=False))
    weight = min(1.0, max(0.0, (step - recipe.scaffold) / recipe.rise))
    if weight > 0:
        lessons = teach(decoder, clean, recipe, rng)
        shares = torch.ones(len(LESSONS))
        shares[LESSONS.index(PART)] = 0.5
        if not recipe.strict:
            shares[LESSONS.index(OTHERS)] = 0
        losses = lessons.losses().mean((0, 1)) @ shares / shares.sum()
        loss = loss + INTERCHANGE * weight * losses
        noted |= dict(zip(LESSONS, lessons.hits().float().mean((0, 1)).tolist(), strict=True))
    return loss, noted


def _mix(subject: Untrained, recipe: Recipe, rng: np.random.Generator) -> torch.Tensor:
    """Mean loss on prompts of all tasks that the embedded subjects are trained on."""
    scenes = [draw_scene(rng, layouts=FURTHER) for _ in range(recipe.mixed)]
    asked = [draw_prompts(s, 4, 70, rng, further=True) for s in scenes]
    batch = pack(scenes, asked, subject)
    logits = supervised_logits(subject, batch)
    losses = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")
    return losses @ batch.prompt_weights()
