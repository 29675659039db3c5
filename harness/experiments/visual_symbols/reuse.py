"""E8: position IDs from scene description, put into a question about space (section 4.4)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import (
    captured,
    head_edits,
    ids_of,
    last_token,
    mean_by,
    ranking,
    said,
)
from harness.experiments.halves import list_scenes
from harness.experiments.sweeps import share_of_heads
from harness.experiments.targets import list_colors, number_cell, number_cells
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import spatial_questions
from harness.subjects.batch import Batch
from harness.tracing.replay import Variant

ALPHA = 2.0
"""Strength (section 4.4); nothing is subtracted."""

TOP, OF = 100, 784
"""Selection heads edited (section 4.4), of the heads of Qwen2-VL-7B; as large a part is taken elsewhere."""

DESCRIBED = 180
"""Scene descriptions, at least, from which the IDs are estimated."""


def measure(request: Request) -> xr.Dataset:
    """Answers to questions about space before and after a position ID is added.

    Returns:
        `before`, `after` bool [trial]: right; `pulled`, `unpulled` bool [trial]: whether the answer is the
        object at a wrong position, with and without that position's ID; `relation`, `scene` [trial];
        `heads`: how many are edited.
    """
    subject, rng = request.subject, request.rng
    asked = spatial_questions(subject.grids[3], HIGH_ENTROPY[3], request.trials, rng)
    drawn = [a.trial for a in asked]
    described = _draw_descriptions(request, drawn)
    heads = ranking(request.needed["mediation"], "id_selection")[: share_of_heads(subject, TOP, OF)]
    # [cells, L, 1, H, w]
    values = captured(subject, described, "head", last_token)
    ids = mean_by(values, number_cells(described), len(subject.grids[3].cells))
    request.progress(1, 2)
    places = (number_cells(drawn), _draw_wrong_cells(drawn, rng))

    def add_ids(batch: Batch, part: slice) -> list[Variant]:
        """No edit, the ID of the true position, and the ID of a wrong one."""
        tokens = last_token(batch)
        added = [ALPHA * ids[cells[part]].transpose(0, 1) for cells in places]
        return [[], *(head_edits("head", heads, tokens, shift, "add") for shift in added)]

    plain, after, pulled = said(subject, drawn, add_ids)
    answer = ids_of(subject, drawn, [t.answer for t in drawn])
    wrong = ids_of(subject, drawn, list_colors(drawn, places[1]))
    return xr.Dataset(
        {
            "before": (("trial",), plain == answer),
            "after": (("trial",), after == answer),
            "pulled": (("trial",), pulled == wrong),
            "unpulled": (("trial",), plain == wrong),
            "relation": (("trial",), np.array([a.relation for a in asked])),
            "scene": (("trial",), list_scenes(drawn)),
            "heads": len(heads),
        }
    )


def _draw_descriptions(request: Request, questions: list[Trial]) -> list[Trial]:
    """Scene descriptions about none of the images of the questions."""
    grid, count = request.subject.grids[3], max(DESCRIBED, request.trials)
    shown = {t.scene.key for t in questions}
    drawn = balanced_trials(grid, HIGH_ENTROPY[3], count, request.rng)
    return [t for t in drawn if t.scene.key not in shown]


def _draw_wrong_cells(questions: list[Trial], rng: np.random.Generator) -> NDArray[np.int64]:
    """For each question a cell of neither the right answer nor the named object, int64 [n]."""
    found = []
    for trial in questions:
        named = {number_cell(trial.scene, o) for o in (trial.target, trial.described[0])}
        free = sorted(set(range(len(trial.scene.grid.cells))) - named)
        found.append(free[rng.integers(len(free))])
    return np.array(found)
