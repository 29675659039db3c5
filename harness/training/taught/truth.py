"""Measures by plain hooks of torch what stages a subject has, without the suite that is to be held against it.

Heads are patched at the input of the output projection, in the model's own forward pass, on the contrasts of
section 3.4; codes are read by ridge regression from the residual stream. All scenes are held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.stimuli.contrast import CONDITIONS, Condition, Contrast, draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial, scene_description
from harness.stimuli.scene import COLORS, EMBEDDED_GRIDS, Cell, Scene
from harness.training.architectures import Untrained
from harness.training.tasks import draw_objects, is_held_out
from harness.training.taught.hooks import Hooked, replace_heads
from harness.training.taught.recipes import Place

SEED = 30_000
"""Seed of the scenes on which truth is measured."""

RIDGE = 1.0
"""Penalty of the read-outs, in squares of states of unit size."""

Heads = Mapping[Condition, Sequence[Place]]


def draw_held_out_contrasts(
    stage: Condition, trials: int, rng: np.random.Generator
) -> list[Contrast]:
    """Draw contrasts of one stage whose clean scenes were never trained on."""
    found: list[Contrast] = []
    while len(found) < trials:
        drawn = draw_contrasts(stage, EMBEDDED_GRIDS[2], HIGH_ENTROPY[3], 64, rng)
        found += [c for c in drawn if is_held_out(c.clean.scene)]
    return found[:trials]


def measure_stages(subject: Untrained, heads: Heads, trials: int = 200) -> dict[str, Any]:
    """Measure for every stage what happens when its heads, or all others, are patched or ablated.

    Returns:
        For each stage shares of trials: `clean_right`; `follow`, in which the answer is the one that a patch of
        the stage's heads predicts; `follow_alone`, the same for each head alone; `right_without`, in which the
        answer stays right when each of the heads gives its mean over trials; `stay`, in which the answer stays
        what it was when all heads outside all stages are patched at all tokens from the first mention on.
    """
    hooked = Hooked(subject)
    found: dict[str, Any] = {}
    for number, stage in enumerate(CONDITIONS):
        rng = np.random.default_rng([SEED, number])
        pairs = draw_held_out_contrasts(stage, trials, rng)
        clean = hooked.encode([p.clean for p in pairs])
        source = hooked.run(hooked.encode([p.counterfactual for p in pairs])).heads
        mentions = [t for m in clean.mentions for t in m]
        before = hooked.run(clean)
        wanted = np.array([p.patched_answer for p in pairs])
        right = np.array([p.clean_answer for p in pairs])
        tokens = mentions if stage == "id_retrieval" else [clean.last]

        def patch(places: Sequence[Place], values: torch.Tensor = source) -> NDArray[np.str_]:
            edit = replace_heads(values, lambda p: tokens if p in places else [])  # noqa: B023
            return hooked.run(clean, edit).said  # noqa: B023

        late = range(mentions[0], clean.last + 1)

        def free(place: Place) -> list[int]:
            """Tokens at which a head belongs to no stage."""
            own: set[int] = set()
            for of in CONDITIONS:
                if place in heads[of]:
                    own |= set(mentions if of == "id_retrieval" else [clean.last])  # noqa: B023
            return [t for t in late if t not in own]  # noqa: B023

        mean = before.heads.mean(1, keepdim=True)
        of_stage = list(heads[stage])
        found[stage] = {
            "trials": trials,
            "clean_right": _share(before.said == right),
            "follow": _share(patch(of_stage) == wanted),
            "follow_alone": [_share(patch([place]) == wanted) for place in of_stage],
            "right_without": _share(patch(of_stage, mean) == right),
            "stay": _share(hooked.run(clean, replace_heads(source, free)).said == before.said),
        }
    return found


def measure_places(subject: Untrained, heads: Heads, trials: int = 200) -> dict[str, float]:
    """Measure whether selected places are counted from the group of objects or from the image.

    Two objects stand side by side, and selection heads are patched from the same two objects in reverse order,
    one column further. A place in the group points to one of them, a place in the image to the other.

    Returns:
        Shares of answers that follow `relative` and `absolute` places.
    """
    grid, rng = EMBEDDED_GRIDS[3], np.random.default_rng([SEED, 10])
    hooked = Hooked(subject)
    clean, other, relative, absolute = [], [], [], []
    for _ in range(trials):
        target, described = draw_objects(2, "high", rng)
        row, flipped = int(rng.integers(3)), bool(rng.random() < 0.5)
        # The group moves so that the target comes to stand where the other object stands in the clean scene.
        order = (described, target) if flipped else (target, described)
        cells = [Cell(row, 1), Cell(row, 2)] if flipped else [Cell(row, 0), Cell(row, 1)]
        moved = [Cell(row, c.column + (-1 if flipped else 1)) for c in cells]
        # In the clean scene they stand the other way round: its answer is that of a place in the image.
        here = Scene(grid, order[::-1], tuple(cells))
        there = Scene(grid, order, tuple(moved))
        prompt = scene_description((described,), target, commas=False)
        clean.append(Trial(here, prompt, (described,), target))
        other.append(Trial(there, prompt, (described,), target))
        place = there.cell_of(target)
        index = moved.index(place)
        relative.append(here.objects[index].color)
        standing = here.at(place)
        absolute.append(standing.color if standing else "")
    read = hooked.encode(clean)
    source = hooked.run(hooked.encode(other)).heads
    places = heads["id_selection"]
    said = hooked.run(
        read, replace_heads(source, lambda p: [read.last] if p in places else [])
    ).said
    return {
        "relative": _share(said == np.array(relative)),
        "absolute": _share(said == np.array(absolute)),
    }


def measure_codes(subject: Untrained, trials: int = 800) -> dict[str, dict[str, Any]]:
    """Measure after which layers places and features can be read linearly, in scenes of four objects.

    Returns:
        For each code, by layer, `accuracy` of a linear read-out on half of the scenes, fitted on the other, and
        `size`, the share of the states' variance between the classes, corrected for chance; `chance` of the
        accuracy; and `onset`, the first layer with at least half of the largest size, or None where accuracy
        is nowhere twice that of chance. Read-outs find codes of any size, also those that nothing else reads.
    """
    rng = np.random.default_rng([SEED, 20])
    grid = EMBEDDED_GRIDS[2]
    drawn: list[Trial] = []
    while len(drawn) < trials:
        some = draw_balanced_trials(grid, HIGH_ENTROPY[3], 144, rng)
        drawn += [t for t in some if is_held_out(t.scene)]
    drawn = drawn[:trials]
    hooked = Hooked(subject)
    states, read = [], None
    for start in range(0, trials, 100):
        read = hooked.encode(drawn[start : start + 100])
        tokens = [*(m[-1] for m in read.mentions), *read.commas, read.last]
        states.append(hooked.run(read).states[:, :, tokens])
    every = torch.cat(states, 1).double().numpy()
    count = len(drawn[0].described)
    named = np.array([[grid.cells.index(t.scene.cell_of(o)) for o in t.described] for t in drawn])
    where = np.array([grid.cells.index(t.scene.cell_of(t.target)) for t in drawn])
    colors = np.array([list(COLORS).index(t.target.color) for t in drawn])
    half = np.array([int(t.scene.key, 16) // 16 % 2 == 0 for t in drawn])
    asked = {
        "position@mentions": (every[:, :, :count], named),
        "position@commas": (every[:, :, count:-1], named),
        "position@last": (every[:, :, -1:], where[:, None]),
        "features@last": (every[:, :, -1:], colors[:, None]),
    }
    return {name: read_code(x, y, half) for name, (x, y) in asked.items()}


def read_code(
    states: NDArray[np.float64], truth: NDArray[np.int64], half: NDArray[np.bool_]
) -> dict[str, Any]:
    """What `measure_codes` gives for one code.

    Args:
        states: The states that may hold it [layer, N, S, d].
        truth: What it says, a number from 0 on [N, S].
        half: Which of the N trials the read-out is fitted on.
    """
    classes = int(truth.max()) + 1
    wanted = np.eye(classes)[truth]
    accuracy, size = [], []
    for of_layer in states:
        scale = np.sqrt((of_layer**2).mean(-1, keepdims=True))
        x = np.concatenate([of_layer / scale, np.ones_like(scale)], -1)
        fit, test = (x[m].reshape(-1, x.shape[-1]) for m in (half, ~half))
        target = wanted[half].reshape(-1, classes)
        weights = np.linalg.solve(fit.T @ fit + RIDGE * np.eye(fit.shape[1]), fit.T @ target)
        accuracy.append(_share((test @ weights).argmax(-1) == truth[~half].ravel()))
        size.append(round(_measure_size(of_layer, truth), 3))
    found = max(accuracy) > 2 / classes
    onset = next(i for i, s in enumerate(size) if s >= max(size) / 2) if found else None
    return {"accuracy": accuracy, "size": size, "chance": round(1 / classes, 3), "onset": onset}


def _measure_size(states: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Omega squared of states [N, S, d] over classes [N, S], averaged over the S tokens; at least 0."""
    found = []
    for token in range(states.shape[1]):
        x, y = states[:, token], truth[:, token]
        classes = np.unique(y)
        whole = ((x - x.mean(0)) ** 2).sum()
        within = sum(((x[y == c] - x[y == c].mean(0)) ** 2).sum() for c in classes)
        noise = within / (len(x) - len(classes))
        found.append((whole - within - (len(classes) - 1) * noise) / (whole + noise))
    return max(0.0, float(np.mean(found)))


def _share(hits: NDArray[np.bool_]) -> float:
    return round(float(np.mean(hits)), 3)
