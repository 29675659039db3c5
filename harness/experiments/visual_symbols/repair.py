"""E12: IDs from scenes of distinct features repair binding errors in scenes of shared ones (appendix D)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.editing import (
    Head,
    average_by_label,
    capture_with_answers,
    edit_heads,
    find_answers,
    find_last_token,
    rank_heads,
)
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.sweeps import list_head_counts
from harness.experiments.targets import number_cells
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials, draw_entropy_trials
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit

SHOWN = 20
"""Trials for each position, at least, from which the prototypes are made."""


@dataclass(frozen=True)
class Prototypes:
    """The mean output of every head for each position of the target, from scenes of distinct features.

    Attributes:
        subject: The model.
        values: float32 [cells, L, 1, H, w]; None where some position had no trial that was answered right.
        right: How many trials were answered right, which are those behind the means.
    """

    subject: Subject
    values: torch.Tensor | None
    right: int

    def put_in(self, heads: list[Head], batch: Batch, cells: NDArray[np.int64]) -> list[Edit]:
        """Edits that put the prototype of one cell for each trial [B] in place of what the heads give.

        Raises:
            ValueError: There are no prototypes.
        """
        if self.values is None:
            raise ValueError("some position has no prototype: no trial of it was answered right")
        values = self.values[cells].transpose(0, 1)
        return edit_heads("head", heads, find_last_token(batch), values, "replace")


def measure(request: Request) -> xr.Dataset:
    """Measure accuracy on low-entropy 3x3 scenes with and without the prototypes.

    Returns:
        `plain` bool [trial]; `repaired`, `misled` bool [trial]: with the prototype of the true position, and
        of a wrong one, at the number of heads `heads` chosen on the estimation half; `part`, `scene`
        [trial]; `correct`: high-entropy trials behind the prototypes.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    grid = subject.grids[3]
    clear = draw_balanced_trials(grid, HIGH_ENTROPY[3], max(trials, SHOWN * len(grid.cells)), rng)
    drawn = draw_entropy_trials(grid, "low", trials, rng)
    halves = Halves.deal(list_scenes(drawn), rng)
    where = number_cells(drawn)
    wrong = (where + rng.integers(1, len(grid.cells), trials)) % len(grid.cells)
    answer = np.array([t.answer for t in drawn])
    prototypes = _make_prototypes(subject, clear)
    request.progress(1, 3)
    heads = rank_heads(request.needed["mediation"], "id_selection")
    counts = list_head_counts(subject, len(heads))
    best = 0
    if counts and prototypes.values is not None:
        best = _choose_count(prototypes, heads, counts, drawn, halves)
        request.progress(2, 3)
        answers = find_answers(
            subject,
            drawn,
            lambda batch, part: [
                [],
                *(prototypes.put_in(heads[:best], batch, at[part]) for at in (where, wrong)),
            ],
        )
        plain, repaired, misled = answers == answer
    else:
        plain = repaired = misled = find_answers(subject, drawn)[0] == answer
    return xr.Dataset(
        {
            "plain": (("trial",), plain),
            "repaired": (("trial",), repaired),
            "misled": (("trial",), misled),
            "part": (("trial",), halves.names),
            "scene": (("trial",), halves.scenes),
            "heads": best,
            "correct": prototypes.right,
        }
    )


def _make_prototypes(subject: Subject, clear: list[Trial]) -> Prototypes:
    """Mean head outputs at the last token over the trials that are answered right."""
    values, named = capture_with_answers(subject, clear, "head")
    right = named == [t.answer for t in clear]
    cells, count = number_cells(clear)[right], len(subject.grids[3].cells)
    means = None
    if len(np.unique(cells)) == count:
        means = average_by_label(values[:, torch.from_numpy(right)], cells, count)
    return Prototypes(subject, means, int(right.sum()))


def _choose_count(
    prototypes: Prototypes,
    heads: list[Head],
    counts: tuple[int, ...],
    drawn: list[Trial],
    halves: Halves,
) -> int:
    """The number of heads with which most answers of the estimation half are right; the first of equals."""
    subject, (choosing, _) = prototypes.subject, halves.split(drawn)
    cells = number_cells(choosing)
    swept = find_answers(
        subject,
        choosing,
        lambda batch, part: [prototypes.put_in(heads[:k], batch, cells[part]) for k in counts],
    )
    right = swept == [t.answer for t in choosing]
    return counts[int(right.mean(1).argmax())]
