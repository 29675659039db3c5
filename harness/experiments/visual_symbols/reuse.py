"""E8: position IDs from scene description, put into a question about space (section 4.4)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.editing import (
    captured,
    head_edits,
    ids_of,
    last_token,
    mean_by,
    ranking,
    said,
)
from harness.experiments.sweeps import share_of_heads
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.stimuli.questions import spatial_questions

ALPHA = 2.0
"""Strength (section 4.4); nothing is subtracted."""

TOP, OF = 100, 784
"""Selection heads edited (section 4.4), of the heads of Qwen2-VL-7B; as large a part is taken elsewhere."""


def measure(request: Request) -> xr.Dataset:
    """Answers before and after.

    Returns:
        `before`, `after` bool [trial]: right; `pulled`, `unpulled` bool [trial]: whether the answer is the
        object at a wrong position, with and without that position's ID; `relation`, `scene` [trial];
        `heads`: how many are edited.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    mediation = request.needed["mediation"]
    grid = subject.grids[3]
    asked = spatial_questions(grid, HIGH_ENTROPY[3], trials, rng)
    drawn = [a.trial for a in asked]
    shown = {t.scene.key for t in drawn}
    described = [
        t
        for t in balanced_trials(grid, HIGH_ENTROPY[3], max(180, trials), rng)
        if t.scene.key not in shown
    ]
    cells = list(grid.cells)
    heads = ranking(mediation, "id_selection")[: share_of_heads(subject, TOP, OF)]
    values = captured(subject, described, "head", last_token)
    ids = mean_by(
        values,
        np.array([cells.index(t.scene.cell_of(t.target)) for t in described]),
        len(cells),
    )
    request.progress(1, 2)
    right = np.array([cells.index(t.scene.cell_of(t.target)) for t in drawn])
    reference = np.array([cells.index(t.scene.cell_of(t.described[0])) for t in drawn])
    free = [sorted(set(range(len(cells))) - {a, b}) for a, b in zip(right, reference, strict=True)]
    wrong = np.array([f[rng.integers(len(f))] for f in free])
    plain, after, misled = said(
        subject,
        drawn,
        lambda batch, part: [
            [],
            *(
                head_edits(
                    "head", heads, last_token(batch), ALPHA * ids[at[part]].transpose(0, 1), "add"
                )
                for at in (right, wrong)
            ),
        ],
    )
    answer = ids_of(subject, drawn, [t.answer for t in drawn])
    there = [t.scene.at(cells[w]).color for t, w in zip(drawn, wrong, strict=True)]
    pulled = ids_of(subject, drawn, there)
    return xr.Dataset(
        {
            "before": (("trial",), plain == answer),
            "after": (("trial",), after == answer),
            "pulled": (("trial",), misled == pulled),
            "unpulled": (("trial",), plain == pulled),
            "relation": (("trial",), np.array([a.relation for a in asked])),
            "scene": (("trial",), np.array([t.scene.key for t in drawn])),
            "heads": len(heads),
        }
    )
