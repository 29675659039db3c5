"""E12: IDs from scenes of distinct features repair binding errors in scenes of shared ones (appendix D).

Answers are written out and judged by color and shape, as in `entropy`. How many heads get the prototype is
chosen on the estimation half, by color alone. Beside it stand the prototype of a wrong position, whose object
must then be named, and a random vector that is as far from what the heads give; and for every scene the
position that the last token pointed to before, since repair must help where that was wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.decoding import CellDecoder
from harness.experiments.editing import (
    Head,
    average_by_label,
    capture_all_sites,
    edit_heads,
    find_answers,
    find_last_token,
    rank_heads,
)
from harness.experiments.halves import Halves, list_scenes, note_unranked
from harness.experiments.mixing import draw_same_norm
from harness.experiments.naming import Named, Scoring, name_objects, tells_shapes
from harness.experiments.other_heads import OtherHeads
from harness.experiments.sweeps import list_head_counts
from harness.experiments.targets import list_colors, number_cells
from harness.measuring.experiment import Request
from harness.statistics.choice import choose_as_good
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials, draw_entropy_trials
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject
from harness.tracing.edit import Edit

SHOWN = 20
"""Trials for each position, at least, from which the prototypes are made."""


@dataclass(frozen=True)
class Seen:
    """Trials as the subject sees and answers them without an edit.

    Attributes:
        trials: n of them.
        halves: Of the trials.
        cells: The cell of each target [n].
        outputs: What every head gives at the last token, float32 [L, n, 1, H, w].
        states: The residual stream there, float32 [L, n, d].
        named: The object that each answer names.
    """

    trials: list[Trial]
    halves: Halves
    cells: NDArray[np.int64]
    outputs: torch.Tensor
    states: NDArray[np.float32]
    named: list[Named]

    @classmethod
    def see(cls, subject: Subject, trials: list[Trial], rng: np.random.Generator) -> Seen:
        """Run the trials."""
        outputs, states = capture_all_sites(
            subject, trials, [("head", find_last_token), ("residual", find_last_token)]
        )
        return cls(
            trials,
            Halves.deal(list_scenes(trials), rng),
            number_cells(trials),
            outputs,
            states[:, :, 0].numpy(),
            name_objects(subject, trials),
        )


@note_unranked
def measure(request: Request) -> xr.Dataset:
    """Measure which objects are named in low-entropy 3x3 scenes with and without prototypes of positions.

    Returns:
        `plain` bool [trial]; `repaired`, `misled` bool [trial]: with the prototype of the true position, at the
        number of heads `heads` with which as many colors of the estimation half are right as with any, and of a
        wrong one, at `misled_heads` with which as many become its object's; `kept` bool [trial]: with that of
        the true position in these same heads. `plain_color`, `repaired_color` bool [trial]: the same by color
        alone.
        `follows` bool [edit, trial]: whether the object at the wrong position is named,
        under each of FOLLOWED. `points_right` bool [trial]: whether the last token is decoded to the target
        without an edit. `part`, `scene` [trial]; `held`, `decoded` bool [clear], `clear_scene` [clear]: which
        clear trials test the decoder, and which it decodes to their target; `ranked`: heads that mediation
        ranked; `correct`: clear trials behind the prototypes. The attribute `scored` says what of an answer was
        compared.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    grid = subject.grids[3]
    cells = len(grid.cells)
    drawn = draw_balanced_trials(grid, HIGH_ENTROPY[3], max(trials, SHOWN * cells), rng)
    clear = Seen.see(subject, drawn, rng)
    crowded = Seen.see(subject, draw_entropy_trials(grid, "low", trials, rng), rng)
    scoring, by_color = Scoring(tells_shapes(clear.named)), Scoring(shapes=False)
    right = scoring.label(clear.named) == scoring.label_targets(clear.trials)
    decoder = CellDecoder.learn(clear.states, clear.cells, right, clear.halves, rng)
    request.progress(1, 3)
    wrong = _draw_wrong_cells(crowded.trials, rng)
    answers = dict.fromkeys(
        ["plain", "repaired", "kept", "wrong position", "random vector"], crowded.named
    )
    best = misled = 0
    mediation = request.needed["mediation"]
    heads = rank_heads(mediation, "id_selection")
    counts = list_head_counts(subject, len(heads))
    if counts and len(np.unique(clear.cells[right])) == cells:
        means = average_by_label(
            clear.outputs[:, torch.from_numpy(right)], clear.cells[right], cells
        )
        best = _choose_count(subject, crowded, heads, counts, means, crowded.cells)
        misled = _choose_count(subject, crowded, heads, counts, means, wrong)
        request.progress(2, 3)
        misleading = _pick_prototypes(means, wrong)
        places = OtherHeads.find(mediation, "id_selection").places
        noise = draw_same_norm(misleading - crowded.outputs, places, crowded.halves.scenes, rng)
        true = _pick_prototypes(means, crowded.cells)
        of_edit = {
            "repaired": (heads[:best], true),
            "kept": (heads[:misled], true),
            "wrong position": (heads[:misled], misleading),
            "random vector": (heads[:misled], crowded.outputs + noise),
        }
        answers |= {
            name: name_objects(subject, crowded.trials, partial(_put_in, chosen, values))
            for name, (chosen, values) in of_edit.items()
        }
    found = {name: scoring.label(named) for name, named in answers.items()}
    targets, at_wrong = (
        scoring.label_targets(crowded.trials),
        scoring.label_cells(crowded.trials, wrong),
    )
    of_color = by_color.label_targets(crowded.trials)
    return xr.Dataset(
        {
            "plain": (("trial",), found["plain"] == targets),
            "repaired": (("trial",), found["repaired"] == targets),
            "misled": (("trial",), found["wrong position"] == targets),
            "kept": (("trial",), found["kept"] == targets),
            "plain_color": (("trial",), by_color.label(answers["plain"]) == of_color),
            "repaired_color": (("trial",), by_color.label(answers["repaired"]) == of_color),
            "follows": (
                ("edit", "trial"),
                np.array(
                    [found[of] == at_wrong for of in ("wrong position", "random vector", "kept")]
                ),
            ),
            "points_right": (("trial",), decoder.decode(crowded.states) == crowded.cells),
            "part": (("trial",), crowded.halves.names),
            "scene": (("trial",), crowded.halves.scenes),
            "held": (("clear",), decoder.held),
            "decoded": (("clear",), decoder.found),
            "clear_scene": (("clear",), clear.halves.scenes),
            "ranked": len(heads),
            "heads": best,
            "misled_heads": misled,
            "correct": int(right.sum()),
        },
        {"edit": list(FOLLOWED)},
        {"scored": scoring.scored},
    )


FOLLOWED = ("wrong position", "random vector", "true position")
"""What may lead answers to a wrong position: its prototype, a random vector as far from what heads give, and
the true position's prototype in the same heads, which takes as much away."""


def _draw_wrong_cells(trials: list[Trial], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw another cell for every trial, with an object of another color, so that its color alone tells it."""
    found = []
    for trial in trials:
        cells = trial.scene.grid.cells
        others = [cells.index(c) for o, c in trial.scene if o.color != trial.target.color]
        found.append(others[int(rng.integers(len(others)))])
    return np.array(found)


def _pick_prototypes(means: torch.Tensor, cells: NDArray[np.int64]) -> torch.Tensor:
    """The prototype of one cell [cells, L, 1, H, w] for every trial, [L, n, 1, H, w]."""
    return means[torch.from_numpy(cells)].transpose(0, 1)


def _put_in(heads: list[Head], values: torch.Tensor, batch: Batch, part: slice) -> list[Edit]:
    """Edits that put values [L, n, 1, H, w] of all trials in place of what the heads give at the last token."""
    return edit_heads("head", heads, find_last_token(batch), values[:, part], "replace")


def _choose_count(
    subject: Subject,
    crowded: Seen,
    heads: list[Head],
    counts: tuple[int, ...],
    means: torch.Tensor,
    wanted: NDArray[np.int64],
) -> int:
    """The fewest heads with which as many answers begin with the color in a wanted cell as with any number.

    They get the prototype of that cell. It is chosen on the estimation half. Colors are read off the first
    token, in one run of each trial for all numbers.
    """
    first = crowded.halves.first
    choosing, _ = crowded.halves.split(crowded.trials)
    values = _pick_prototypes(means, wanted[first])
    swept = find_answers(
        subject,
        choosing,
        lambda batch, part: [_put_in(heads[:k], values, batch, part) for k in counts],
    )
    reached = swept == np.array(list_colors(choosing, wanted[first]))
    return counts[choose_as_good(reached, crowded.halves.scenes[first])]
