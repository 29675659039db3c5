"""E0: does the subject name the object that the prompt leaves out? The precondition of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import xarray as xr

from harness.measuring.batches import parts
from harness.measuring.measuring import Experiment, Progress
from harness.stimuli.blocks import block_trials
from harness.stimuli.contrast import contrasts
from harness.stimuli.design import HIGH_ENTROPY, PCA_CELLS, balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import (
    color_questions,
    counting_questions,
    list_begun,
    listing_scenes,
    side_pairs,
    spatial_questions,
)
from harness.subjects.subject import Subject
from harness.tracing.capture import last_logits

ROWS = 32
"""Trials in one pass."""

SETS = ("two objects", "four objects, 2x2", "six objects, outer columns")

TASKS = (
    "block of four",
    "side by side",
    "two solids",
    "color of a shape",
    "directly beside",
    "nine objects",
    "counting",
    "numbered list",
)


def draw_sets(subject: Subject, trials: int, rng: np.random.Generator) -> dict[str, list[Trial]]:
    """The trial sets of the sections: mediation's (3.4), RSA's and PCA's (3.3)."""
    two, three = subject.grids[2], subject.grids[3]
    pairs = contrasts("id_selection", two, HIGH_ENTROPY[3], trials, rng)
    return {
        SETS[0]: [c.clean for c in pairs],
        SETS[1]: balanced_trials(two, HIGH_ENTROPY[3], trials, rng),
        SETS[2]: balanced_trials(three, HIGH_ENTROPY[3], trials, rng, cells=PCA_CELLS),
    }


def draw_tasks(subject: Subject, trials: int, rng: np.random.Generator) -> dict[str, list[Trial]]:
    """Those of sections 4.1 to 4.5 and the appendices."""
    two, three, nine = subject.grids[2], subject.grids[3], HIGH_ENTROPY[3]
    drawn = [
        block_trials(three, nine, trials, rng),
        side_pairs(two, nine, trials, rng, solids=False),
        side_pairs(two, nine, trials, rng, solids=True),
        color_questions(two, nine, trials, rng),
        [q.trial for q in spatial_questions(three, nine, trials, rng)],
        balanced_trials(three, nine, trials, rng),
        counting_questions(three, trials, rng),
        [list_begun(s, ()) for s in listing_scenes(two, nine, trials, rng)],
    ]
    return dict(zip(TASKS, drawn, strict=True))


def answers_right(subject: Subject, trials: Sequence[Trial]) -> np.ndarray:
    """Whether the likeliest next token begins the answer, bool [n]."""
    right = []
    for rows in parts(len(trials), ROWS):
        part = trials[rows]
        said = last_logits(subject, subject.encode(part)).argmax(-1).tolist()
        right += [
            s in {subject.answer_id(t.prompt, w) for w in answers(t)}
            for s, t in zip(said, part, strict=True)
        ]
    return np.array(right)


def answers(trial: Trial) -> set[str]:
    """What counts as right: a list may begin with any object that is there, all else has one answer."""
    if trial.prompt.text.endswith("1. a"):
        return {o.color for o in trial.scene.objects}
    return {trial.answer}


def run(
    subject: Subject,
    trials: int,
    rng: np.random.Generator,
    progress: Progress,
    *,
    draw: Callable[..., dict[str, list[Trial]]] = draw_sets,
) -> xr.Dataset:
    """Accuracy per trial: `right` bool [set, trial], `scene` [set, trial]."""
    sets = draw(subject, trials, rng)
    right = []
    for done, drawn in enumerate(sets.values()):
        progress(done, len(sets))
        right.append(answers_right(subject, drawn))
    scenes = [[t.scene.key for t in drawn] for drawn in sets.values()]
    return xr.Dataset(
        {
            "right": (("set", "trial"), np.array(right)),
            "scene": (("set", "trial"), np.array(scenes)),
        },
        {"set": list(sets)},
    )


BEHAVIOUR = Experiment("behaviour", run, trials=200, looks=False)
READINESS = Experiment("readiness", partial(run, draw=draw_tasks), trials=48, looks=False)
"""Asked before anything expensive is measured: a claim is blocked where its task is failed."""
