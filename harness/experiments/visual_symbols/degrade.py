"""Cause, not correlation: IDs are degraded in clear scenes, and errors must appear (section 4.5).

The paper shows that IDs and answers get worse together where features are shared, and its reviewers asked for
a cause. Here the scenes stay clear and the IDs alone are made worse: what the ID selection heads give at the
last token is mixed, step by step, with the mean of another cell, as if the ID were drawn away to it. The same
is done with the mean of the trial's own cell, which takes away all but the ID; in a random direction that is as
long; and in other heads of the same layers, the latter two drawn anew for every scene. Objects have a color
of their own each, so the first word of an answer tells which one is named.
"""

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
    find_answers,
    find_last_token,
    rank_heads,
)
from harness.experiments.halves import Halves, list_scenes, note_unranked
from harness.experiments.mixing import (
    add_to,
    draw_same_norm,
    mark_heads,
    mark_other_heads,
    mix_in,
)
from harness.experiments.other_heads import OtherHeads
from harness.experiments.sweeps import list_head_counts
from harness.experiments.targets import list_colors, number_cells
from harness.measuring.experiment import Request
from harness.statistics.choice import choose_as_good
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.replay import Variant

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Share of another cell's ID in what the heads give: from the trial's own to the other's alone."""

EDITS = ("other cell", "own cell", "random direction", "other heads")
"""The ID of another cell is mixed in; that of the trial's own cell; a random direction as long as the first;
the ID of another cell in other heads of the same layers."""

SHOWN = 20
"""Trials for each position of the target, at least, so that half of them give every position its mean."""


@dataclass(frozen=True)
class Degraded:
    """Trials, and what is mixed into what their heads give.

    Attributes:
        subject: The model.
        trials: n of them.
        outputs: What every head gives at the last token without an edit, float32 [L, n, 1, H, w].
        ids: The mean of another cell, of the same shape.
        own_ids: The mean of the trial's own cell, of the same shape.
    """

    subject: Subject
    trials: list[Trial]
    outputs: torch.Tensor
    ids: torch.Tensor
    own_ids: torch.Tensor

    def select(self, chosen: NDArray[np.bool_]) -> Degraded:
        """Some of the trials, bool [n]."""
        of = torch.from_numpy(chosen)
        trials = [t for t, keep in zip(self.trials, chosen.tolist(), strict=True) if keep]
        parts = (part[:, of] for part in (self.outputs, self.ids, self.own_ids))
        return Degraded(self.subject, trials, *parts)

    def choose_count(
        self, heads: list[Head], counts: tuple[int, ...], wanted: NDArray[np.str_]
    ) -> int:
        """The most heads in which another cell's whole ID makes as many answers the wanted color [n] as in any.

        What is left of the own ID in another head could keep the answer right, so that it is to be gone from as
        many heads as carry it.
        """
        marked = [mark_heads(heads[:k], self.subject, len(self.trials)) for k in counts]
        answers = find_answers(
            self.subject,
            self.trials,
            lambda batch, part: [
                mix_in(of_count[part], find_last_token(batch), self.ids[:, part], 1.0)
                for of_count in marked
            ],
        )
        as_good = choose_as_good((answers == wanted)[::-1], list_scenes(self.trials))
        return counts[::-1][as_good]

    def mark_others(
        self, heads: list[Head], others: OtherHeads, rng: np.random.Generator
    ) -> torch.Tensor:
        """Other heads in place of the given ones, drawn anew for every scene, bool [n, L, H]."""
        return mark_other_heads(heads, others, self.subject, list_scenes(self.trials), rng)

    def ask(
        self,
        heads: list[Head],
        others: torch.Tensor,
        places: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.str_]:
        """The answers under every edit of EDITS at every step, words [edit, step, n].

        Args:
            heads: Those that are degraded.
            others: Those that are in their place, for every trial, bool [n, L, H].
            places: The place of every head in the order of its layer, [L, H].
            rng: Of the random directions.
        """
        own = mark_heads(heads, self.subject, len(self.trials))
        random = draw_same_norm(self.ids - self.outputs, places, list_scenes(self.trials), rng)

        def degrade(batch: Batch, part: slice) -> list[Variant]:
            at, ids, own_ids = find_last_token(batch), self.ids[:, part], self.own_ids[:, part]
            return [
                *(mix_in(own[part], at, ids, step) for step in STEPS),
                *(mix_in(own[part], at, own_ids, step) for step in STEPS),
                *(add_to(own[part], at, random[:, part], step) for step in STEPS),
                *(mix_in(others[part], at, ids, step) for step in STEPS),
            ]

        answers = find_answers(self.subject, self.trials, degrade)
        return answers.reshape(len(EDITS), len(STEPS), len(self.trials))


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Measure what is named in high-entropy 3x3 scenes as their IDs are degraded.

    Means come from the trials of the estimation half that are answered right, and there the number of heads is
    chosen, the most with which as many answers become the other cell's object as with any. All else is measured
    on the evaluation half.

    Returns:
        `right`, `follows` bool [edit, step, trial]: whether the target is named, and whether the object of the
        cell whose ID is mixed in; `scene` [trial]; `ranked`: heads that mediation ranked; `heads`: how many are
        edited, 0 if there are none or no two cells have a mean; `others`: how many others are edited in their
        place, at least.
    """
    subject, rng = request.subject, request.rng
    grid = subject.grids[3]
    trials = max(request.trials, SHOWN * len(grid.cells))
    drawn = draw_balanced_trials(grid, HIGH_ENTROPY[3], trials, rng)
    halves = Halves.deal(list_scenes(drawn), rng)
    outputs, named = capture_with_answers(subject, drawn, "head")
    request.progress(1, 3)
    cells = number_cells(drawn)
    learned = halves.first & (named == [t.answer for t in drawn])
    known = np.unique(cells[learned])
    other = _draw_other_cells(cells, known, rng)
    mediation = request.needed["mediation"]
    heads = rank_heads(mediation, "id_selection")
    counts = list_head_counts(subject, len(heads))
    pointed = np.array(list_colors(drawn, other))
    _, judged = halves.split(drawn)
    answers = np.broadcast_to(named[halves.second], (len(EDITS), len(STEPS), len(judged)))
    best = fewest = 0
    if counts and len(known) > 1:
        labels = np.searchsorted(known, cells[learned])
        means = average_by_label(outputs[:, torch.from_numpy(learned)], labels, len(known))
        ids, own_ids = (_pick_means(means, known, of, outputs) for of in (other, cells))
        every = Degraded(subject, drawn, outputs, ids, own_ids)
        choosing = every.select(halves.first)
        best = choosing.choose_count(heads, counts, pointed[halves.first])
        request.progress(2, 3)
        judging, others = every.select(halves.second), OtherHeads.find(mediation, "id_selection")
        marked = judging.mark_others(heads[:best], others, rng)
        fewest = int(marked.sum((1, 2)).min())
        answers = judging.ask(heads[:best], marked, others.places, rng)
    return xr.Dataset(
        {
            "right": (("edit", "step", "trial"), answers == [t.answer for t in judged]),
            "follows": (("edit", "step", "trial"), answers == pointed[halves.second]),
            "scene": (("trial",), halves.scenes[halves.second]),
            "ranked": len(heads),
            "heads": best,
            "others": fewest,
        },
        {"edit": list(EDITS), "step": list(STEPS)},
    )


def _pick_means(
    means: torch.Tensor, known: NDArray[np.int64], cells: NDArray[np.int64], outputs: torch.Tensor
) -> torch.Tensor:
    """The mean [known, L, 1, H, w] of each trial's cell [n]; its own outputs [L, n, 1, H, w] if it has none."""
    has = torch.from_numpy(np.isin(cells, known))
    at = np.searchsorted(known, cells).clip(max=len(known) - 1)
    picked = means[torch.from_numpy(at)].transpose(0, 1)
    return torch.where(has[:, None, None, None], picked, outputs)


def _draw_other_cells(
    cells: NDArray[np.int64], known: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw for each given cell [n] a different one whose ID is known, or any different one if there is none."""
    found = []
    for own in cells.tolist():
        others = known[known != own] if len(known) > 1 else cells[cells != own]
        found.append(int(rng.choice(others)))
    return np.array(found)
