"""E9: where objects share features, IDs are less accurate, and binding errors appear (section 4.5).

Four sets of scenes, 2x2 and 3x3, with all features distinct (high entropy) or few of each (low). And of every
wrong answer it is asked whether it is the color at the position that the last token points to: that tells more
than a correlation over sets. Answers are judged by their first word, the color (protocol, 6.4): guessing among
the three colors of a crowded scene is right in one case of three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.correlating import Comparison
from harness.experiments.editing import capture_all, read_answers
from harness.experiments.halves import HALF_NAMES, Halves, list_scenes
from harness.experiments.targets import (
    compare_mentions,
    compare_targets,
    list_colors,
    number_cells,
)
from harness.measures.probes import label_by_nearest_mean
from harness.measures.similarity import cosine_rsm
from harness.measuring.experiment import Request
from harness.stimuli.design import draw_entropy_trials
from harness.stimuli.prompt import Trial
from harness.subjects.batch import Batch
from harness.subjects.subject import Subject

ENTROPY_SETS = ("high 2x2", "low 2x2", "high 3x3", "low 3x3")
PLACES = ("mentions", "last")


@dataclass(frozen=True)
class MeasuredSet:
    """What was measured on one set of scenes.

    Attributes:
        trials: n of them.
        halves: Of the trials.
        answers: The color that each answer begins with, [n].
        right: Whether it is right, bool [n].
        states: The residual stream at the last token, float32 [L, n, d].
        r: Correlation with position, [place, half, L].
        draws: The same in bootstrap draws of the evaluation half, [place, D, L].
    """

    trials: list[Trial]
    halves: Halves
    answers: NDArray[np.str_]
    right: NDArray[np.bool_]
    states: NDArray[np.float32]
    r: NDArray[np.float64]
    draws: NDArray[np.float64]

    @property
    def evaluation_scenes(self) -> NDArray[np.str_]:
        """The scenes of the trials of the evaluation half."""
        return self.halves.scenes[self.halves.second]


def measure(request: Request) -> xr.Dataset:
    """Measure on all four sets of scenes how position is represented and which answers are right.

    Returns:
        `r` [set, place, half, layer], `r_draws` [set, place, draw, layer] on the evaluation half; `right`
        bool [set, trial]; `scene` [set, trial]; `n`, `scenes` [set]: trials of the evaluation half, and how
        many scenes they show; `pointed`, `named` [trial] on the 3x3 set of low entropy: the color in the cell
        that the last token is decoded to, and the color named, "" where it is none of the scene's; `reads`:
        share of held-out high-entropy trials decoded to the target.
    """
    subject = request.subject
    found: dict[str, MeasuredSet] = {}
    for done, name in enumerate(ENTROPY_SETS):
        request.progress(done, len(ENTROPY_SETS))
        entropy, size = name.split()
        drawn = draw_entropy_trials(
            subject.grids[int(size[0])], entropy, request.trials, request.rng
        )
        found[name] = _measure_set(subject, drawn, request.rng)
    sets, crowded = list(found.values()), found["low 3x3"]
    cells, reads = _decode_cells(found["high 3x3"], crowded)
    return xr.Dataset(
        {
            "r": (("set", "place", "half", "layer"), np.stack([s.r for s in sets])),
            "r_draws": (("set", "place", "draw", "layer"), np.stack([s.draws for s in sets])),
            "right": (("set", "trial"), np.array([s.right for s in sets])),
            "scene": (("set", "trial"), np.array([s.halves.scenes for s in sets])),
            "n": (("set",), [len(s.evaluation_scenes) for s in sets]),
            "scenes": (("set",), [len(np.unique(s.evaluation_scenes)) for s in sets]),
            "pointed": (("trial",), np.array(list_colors(crowded.trials, cells))),
            "named": (("trial",), _keep_shown(crowded.trials, crowded.answers)),
            "reads": reads,
        },
        {
            "set": list(ENTROPY_SETS),
            "place": list(PLACES),
            "half": list(HALF_NAMES),
            "layer": np.arange(subject.layers),
        },
    )


def _measure_set(subject: Subject, drawn: list[Trial], rng: np.random.Generator) -> MeasuredSet:
    read = capture_all(subject, drawn, "residual", _find_commas_and_last)
    answers = read_answers(subject, read[-1, :, -1])
    states = read.numpy()
    halves = Halves.deal(list_scenes(drawn), rng)
    places = {
        "mentions": (states[:, :, :-1], compare_mentions(drawn)),
        "last": (states[:, :, -1:], compare_targets(drawn)),
    }
    r, draws = [], []
    for of_place, truth in (places[place] for place in PLACES):
        compared = Comparison(cosine_rsm(of_place.transpose(0, 2, 1, 3)), truth, halves.scenes)
        first, second = compared.select(halves.first), compared.select(halves.second)
        r.append([first.correlate(), second.correlate()])
        draws.append(second.resample(second.draw_weights(rng)))
    return MeasuredSet(
        drawn,
        halves,
        answers,
        answers == np.array([t.answer for t in drawn]),
        states[:, :, -1],
        np.array(r),
        np.array(draws),
    )


def _find_commas_and_last(batch: Batch) -> torch.Tensor:
    """The comma after each mention and the last token, int64 [B, S]."""
    return torch.tensor([[*row, batch.last] for row in batch.separators])


def _keep_shown(trials: Sequence[Trial], answers: NDArray[np.str_]) -> NDArray[np.str_]:
    """The answers, "" where the scene shows no such color."""
    shown = [{o.color for o in t.scene.objects} for t in trials]
    return np.array([a if a in s else "" for a, s in zip(answers.tolist(), shown, strict=True)])


def _decode_cells(high: MeasuredSet, low: MeasuredSet) -> tuple[NDArray[np.int64], float]:
    """Decode the cell that the last token of each low-entropy trial points to.

    Each is given the cell whose mean state over the high-entropy trials is nearest, at the layer where that
    works best for high-entropy trials that had no part in the means.

    Returns:
        Numbers of cells in reading order, int64 [n], and the share of those held-out trials decoded right.
    """
    cells = number_cells(high.trials)
    first, second = high.halves.first, high.halves.second
    shares = [
        float(
            (
                label_by_nearest_mean(layer[first], cells[first], layer[second]) == cells[second]
            ).mean()
        )
        for layer in high.states
    ]
    best = int(np.argmax(shares))
    return label_by_nearest_mean(high.states[best], cells, low.states[best]), shares[best]
