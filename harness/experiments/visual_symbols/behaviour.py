"""E0: whether the subject names the object that the prompt leaves out, which all else presupposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from harness.experiments.editing import find_answers
from harness.experiments.examples import COUNT, describe_trials, keep_examples
from harness.experiments.tasks import SETS, TASKS
from harness.measuring.experiment import Request
from harness.stimuli.blocks import draw_block_trials
from harness.stimuli.contrast import draw_contrasts
from harness.stimuli.design import HIGH_ENTROPY, PCA_CELLS, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import (
    draw_color_questions,
    draw_side_pairs,
    draw_spatial_questions,
)
from harness.stimuli.rows import Setting, draw_row_questions
from harness.subjects.subject import Subject

SETTINGS: tuple[Setting, ...] = ("shapes", "squares", "solids")
"""Settings of rows in the order of TASKS."""


def draw_sets(subject: Subject, trials: int, rng: np.random.Generator) -> dict[str, list[Trial]]:
    """Draw the scene descriptions of mediation (section 3.4), RSA and PCA (section 3.3), by names of SETS."""
    two, three = subject.grids[2], subject.grids[3]
    pairs = draw_contrasts("id_selection", two, HIGH_ENTROPY[3], trials, rng)
    return {
        SETS[0]: [c.clean for c in pairs],
        SETS[1]: draw_balanced_trials(two, HIGH_ENTROPY[3], trials, rng),
        SETS[2]: draw_balanced_trials(three, HIGH_ENTROPY[3], trials, rng, cells=PCA_CELLS),
    }


def draw_tasks(subject: Subject, trials: int, rng: np.random.Generator) -> dict[str, list[Trial]]:
    """Draw trials of all tasks by names of TASKS: sections 4.1 to 4.5, appendix D, rows of Cui et al."""
    two, three, nine = subject.grids[2], subject.grids[3], HIGH_ENTROPY[3]
    drawn = [
        draw_block_trials(three, nine, trials, rng),
        draw_side_pairs(two, nine, trials, rng, solids=False),
        draw_side_pairs(two, nine, trials, rng, solids=True),
        draw_color_questions(two, nine, trials, rng),
        [q.trial for q in draw_spatial_questions(three, nine, trials, rng)],
        draw_balanced_trials(three, nine, trials, rng),
        *(
            [q.trial for q in draw_row_questions(subject.row_grid, setting, trials, rng)]
            for setting in SETTINGS
        ),
    ]
    return dict(zip(TASKS, drawn, strict=True))


def measure(request: Request) -> xr.Dataset:
    """Which answers are right on each of SETS, and which name a color at all.

    Returns:
        `right`, `named` bool [set, trial]; `scene` [set, trial]; the attribute `tells` says how the subject
        writes answers, where that is known; `examples` keeps the first trials in words.
    """
    return _measure_sets(request, draw_sets(request.subject, request.trials, request.rng))


def measure_tasks(request: Request) -> xr.Dataset:
    """Which answers are right on each of TASKS, as `measure` does."""
    return _measure_sets(request, draw_tasks(request.subject, request.trials, request.rng))


def _measure_sets(request: Request, sets: Mapping[str, Sequence[Trial]]) -> xr.Dataset:
    right, named, examples = [], [], []
    for done, (name, drawn) in enumerate(sets.items()):
        request.progress(done, len(sets))
        said = find_answers(request.subject, drawn)[0]
        right.append(said == [t.answer for t in drawn])
        named.append(said != "")
        examples += describe_trials(drawn, {"as it is": said}, COUNT // len(sets), name)
    spelled = request.needed.get("spelling", xr.Dataset())
    scenes = [[t.scene.key for t in drawn] for drawn in sets.values()]
    return xr.Dataset(
        {
            "right": (("set", "trial"), np.array(right)),
            "named": (("set", "trial"), np.array(named)),
            "scene": (("set", "trial"), np.array(scenes)),
        },
        {"set": list(sets)},
        {"tells": spelled.attrs.get("tells", ""), **keep_examples(examples)},
    )
