"""E12: IDs from scenes of distinct features repair binding errors in scenes of shared ones (appendix D)."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from harness.experiments.editing import (
    Head,
    captured_with_answers,
    head_edits,
    ids_of,
    last_token,
    mean_by,
    ranking,
    said,
)
from harness.experiments.sweeps import heads_swept
from harness.measuring.experiment import Request
from harness.statistics.halves import estimation_half
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials, entropy_trials
from harness.subjects.subject import Batch
from harness.tracing.edit import Edit


def measure(request: Request) -> xr.Dataset:
    """Accuracy on low-entropy 3x3 scenes with and without the prototypes.

    Returns:
        `plain` bool [trial]; `repaired`, `misled` bool [trial]: with the prototype of the true position, and
        of a wrong one, at the number of heads `heads` chosen on the estimation half; `part`, `scene`
        [trial]; `correct`: high-entropy trials behind the prototypes.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    mediation = request.needed["mediation"]
    grid = subject.grids[3]
    cells = list(grid.cells)
    clear = balanced_trials(grid, HIGH_ENTROPY[3], max(trials, 20 * len(cells)), rng)
    drawn = entropy_trials(grid, "low", trials, rng)
    scenes = np.array([t.scene.key for t in drawn])
    first = estimation_half(scenes, rng)
    where = np.array([cells.index(t.scene.cell_of(t.target)) for t in drawn])
    wrong = (where + rng.integers(1, len(cells), trials)) % len(cells)
    answer = ids_of(subject, drawn, [t.answer for t in drawn])
    values, named = captured_with_answers(subject, clear, "head")
    ok = named == ids_of(subject, clear, [t.answer for t in clear])
    request.progress(1, 3)
    at = np.array([cells.index(t.scene.cell_of(t.target)) for t in clear])
    heads = ranking(mediation, "id_selection")
    counts = heads_swept(subject, len(heads))
    best = 0
    if counts and len(np.unique(at[ok])) == len(cells):
        ids = mean_by(values[:, torch.from_numpy(ok)], at[ok], len(cells))
        choosing = [t for t, e in zip(drawn, first, strict=True) if e]
        swept = said(
            subject,
            choosing,
            lambda batch, part: [
                _put_in(heads[:k], batch, ids[where[first][part]]) for k in counts
            ],
        )
        best = counts[int((swept == answer[first]).mean(1).argmax())]
        request.progress(2, 3)
        answers = said(
            subject,
            drawn,
            lambda batch, part: [
                [],
                *(_put_in(heads[:best], batch, ids[places[part]]) for places in (where, wrong)),
            ],
        )
        plain, repaired, misled = answers == answer
    else:
        plain = repaired = misled = said(subject, drawn)[0] == answer
    return xr.Dataset(
        {
            "plain": (("trial",), plain),
            "repaired": (("trial",), repaired),
            "misled": (("trial",), misled),
            "part": (("trial",), np.where(first, "estimation", "evaluation")),
            "scene": (("trial",), scenes),
            "heads": best,
            "correct": int(ok.sum()),
        }
    )


def _put_in(heads: list[Head], batch: Batch, prototypes: torch.Tensor) -> list[Edit]:
    """Each trial's prototype [B, L, 1, H, w] in place of what its heads bring to the last token."""
    return head_edits("head", heads, last_token(batch), prototypes.transpose(0, 1), "replace")
