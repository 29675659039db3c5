"""E8: position IDs from scene description, put into a question about space (section 4.4)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import (
    average_by_label,
    capture_all,
    edit_heads,
    find_answers,
    find_last_token,
    rank_heads,
)
from harness.experiments.examples import describe_trials, keep_examples
from harness.experiments.halves import list_scenes, note_unranked
from harness.experiments.rivals import tabulate_rivals
from harness.experiments.sweeps import scale_head_count
from harness.experiments.targets import list_colors, number_cell, number_cells
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.questions import draw_spatial_questions
from harness.subjects.batch import Batch
from harness.tracing.replay import Variant

ALPHA = 2.0
"""Strength (section 4.4); nothing is subtracted."""

TOP, OF = 100, 784
"""Selection heads edited (section 4.4), of the heads of Qwen2-VL-7B; as large a part is taken elsewhere."""

EDITS = ("none", "right position", "wrong position")
"""No edit, the ID of the position that is asked for, and the ID of another."""

DESCRIBED = 180
"""Scene descriptions, at least, from which the IDs are estimated."""


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Ask questions about space before and after a position ID is added.

    Returns:
        `before`, `after` bool [trial]: right; `pulled`, `unpulled` bool [trial]: whether the answer is the
        object at a wrong position, with and without that position's ID; `relation`, `scene` [trial];
        `heads`: how many are edited. `said`, `predicted`, `asked_scene` as `tabulate_rivals` gives them for
        every edit; what is predicted is where the ID of the wrong position points. The attribute `examples`
        keeps the first trials in words.
    """
    subject, rng = request.subject, request.rng
    asked = draw_spatial_questions(subject.grids[3], HIGH_ENTROPY[3], request.trials, rng)
    drawn = [a.trial for a in asked]
    described = _draw_descriptions(request, drawn)
    heads = rank_heads(request.needed["mediation"], "id_selection")[
        : scale_head_count(subject, TOP, OF)
    ]
    # [cells, L, 1, H, w]
    values = capture_all(subject, described, "head", find_last_token)
    ids = average_by_label(values, number_cells(described), len(subject.grids[3].cells))
    request.progress(1, 2)
    places = (number_cells(drawn), _draw_wrong_cells(drawn, rng))

    def add_ids(batch: Batch, part: slice) -> list[Variant]:
        """No edit, the ID of the true position, and the ID of a wrong one."""
        tokens = find_last_token(batch)
        added = [ALPHA * ids[cells[part]].transpose(0, 1) for cells in places]
        return [[], *(edit_heads("head", heads, tokens, shift, "add") for shift in added)]

    plain, after, pulled = find_answers(subject, drawn, add_ids)
    answer = np.array([t.answer for t in drawn])
    wrong = np.array(list_colors(drawn, places[1]))
    scenes = list_scenes(drawn)
    reference = [t.described[0].color for t in drawn]
    explained = {
        "relative": wrong,
        "absolute": wrong,
        "ordinal": reference,
        "content": answer,
        "copying": reference,
        "nothing": plain,
    }
    return xr.Dataset(
        {
            "before": (("trial",), plain == answer),
            "after": (("trial",), after == answer),
            "pulled": (("trial",), pulled == wrong),
            "unpulled": (("trial",), plain == wrong),
            "relation": (("trial",), np.array([a.relation for a in asked])),
            "scene": (("trial",), scenes),
            "heads": len(heads),
            **tabulate_rivals(
                np.stack([plain, after, pulled]), ("edit", EDITS), [explained], scenes
            ),
        },
        attrs=keep_examples(
            describe_trials(
                drawn,
                {
                    "as it is": plain,
                    "ID of the right position added": after,
                    "ID of a wrong position added": pulled,
                },
            )
        ),
    )


def _draw_descriptions(request: Request, questions: list[Trial]) -> list[Trial]:
    """Scene descriptions about none of the images of the questions."""
    grid, count = request.subject.grids[3], max(DESCRIBED, request.trials)
    shown = {t.scene.key for t in questions}
    drawn = draw_balanced_trials(grid, HIGH_ENTROPY[3], count, request.rng)
    return [t for t in drawn if t.scene.key not in shown]


def _draw_wrong_cells(questions: list[Trial], rng: np.random.Generator) -> NDArray[np.int64]:
    """For each question a cell of neither the right answer nor the named object, int64 [n]."""
    found = []
    for trial in questions:
        named = {number_cell(trial.scene, o) for o in (trial.target, trial.described[0])}
        free = sorted(set(range(len(trial.scene.grid.cells))) - named)
        found.append(free[rng.integers(len(free))])
    return np.array(found)
