"""E9: where objects share features, IDs are less accurate, and binding errors appear (section 4.5).

Four sets of scenes, 2x2 and 3x3, with all features distinct (high entropy) or few of each (low). And of every
wrong answer it is asked whether it is the color at the position that the last token points to: that tells more
than a correlation over sets. Answers are judged by their first word, the color (protocol, 6.4): guessing among
the three colors of a crowded scene is right in one case of three.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from harness.experiments.editing import captured, ids_of, said_from
from harness.measures.probes import nearest_mean
from harness.measures.similarity import cosine_rsm, position_rsm, rsa_draws
from harness.measuring.experiment import Request
from harness.statistics.clusters import cluster_weights
from harness.statistics.halves import DRAWS, estimation_half
from harness.stimuli.design import entropy_trials
from harness.stimuli.prompt import Trial
from harness.subjects.subject import Batch, Subject

SETS = ("high 2x2", "low 2x2", "high 3x3", "low 3x3")
PLACES = ("mentions", "last")


def measure(request: Request) -> xr.Dataset:
    """Similarity and answers on all four sets.

    Returns:
        `r` [set, place, half, layer], `r_draws` [set, place, draw, layer] on the evaluation half; `right`
        bool [set, trial]; `scene` [set, trial]; `pointed`, `named` [trial] on the 3x3 set of low entropy:
        the color in the cell that the last token is decoded to, and the color said, "" where it is none of
        the scene's; `reads`: share of held-out high-entropy trials decoded to the target.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    shape = (len(SETS), len(PLACES), 2, subject.layers)
    r, draws = np.zeros(shape), np.zeros((*shape[:2], DRAWS, subject.layers))
    right, scenes, sizes = [], [], []
    kept: dict[str, tuple[list[Trial], torch.Tensor, np.ndarray, np.ndarray]] = {}
    for s, name in enumerate(SETS):
        request.progress(s, len(SETS))
        entropy, size = name.split()
        grid = subject.grids[int(size[0])]
        drawn = entropy_trials(grid, entropy, trials, rng)
        read = captured(subject, drawn, "residual", _commas_and_last)
        answers = said_from(subject, read[-1, :, -1])
        states = read.numpy()
        right.append(answers == ids_of(subject, drawn, [t.answer for t in drawn]))
        shown = np.array([t.scene.key for t in drawn])
        scenes.append(shown)
        first = estimation_half(shown, rng)
        sizes.append(((~first).sum(), len(np.unique(shown[~first]))))
        where = {
            "mentions": np.array(
                [[grid.centre(t.scene.cell_of(o)) for o in t.described] for t in drawn]
            ).transpose(1, 0, 2),
            "last": np.array([grid.centre(t.scene.cell_of(t.target)) for t in drawn])[None],
        }
        for p, place in enumerate(PLACES):
            read = states[:, :, :-1] if place == "mentions" else states[:, :, -1:]
            model, truth = cosine_rsm(read.transpose(0, 2, 1, 3)), position_rsm(where[place])
            for h, half in enumerate((first, ~first)):
                chosen = np.flatnonzero(half)
                part = np.ix_(range(model.shape[0]), range(model.shape[1]), chosen, chosen)
                target = truth[:, chosen][:, :, chosen]
                ones = np.ones((1, len(chosen)), int)
                r[s, p, h] = rsa_draws(model[part], target, ones, shown[chosen])[0]
            weights = cluster_weights(shown[~first], DRAWS, rng)
            draws[s, p] = rsa_draws(model[part], target, weights, shown[~first])
        cells = np.array([grid.cells.index(t.scene.cell_of(t.target)) for t in drawn])
        kept[name] = (drawn, states[:, :, -1], cells, np.array(first))
        if name == "low 3x3":
            colors = _colors_said(subject, drawn, answers)
    pointed, reads = _pointed(kept["high 3x3"], kept["low 3x3"])
    crowded = kept["low 3x3"][0]
    return xr.Dataset(
        {
            "r": (("set", "place", "half", "layer"), r),
            "r_draws": (("set", "place", "draw", "layer"), draws),
            "right": (("set", "trial"), np.array(right)),
            "scene": (("set", "trial"), np.array(scenes)),
            "n": (("set",), [n for n, _ in sizes]),
            "scenes": (("set",), [c for _, c in sizes]),
            "pointed": (("trial",), _colors_pointed(crowded, pointed)),
            "named": (("trial",), colors),
            "reads": reads,
        },
        {
            "set": list(SETS),
            "place": list(PLACES),
            "half": ["estimation", "evaluation"],
            "layer": np.arange(subject.layers),
        },
    )


def _commas_and_last(batch: Batch) -> torch.Tensor:
    return torch.tensor([[*row, batch.last] for row in batch.separators])


def _colors_said(subject: Subject, trials: list[Trial], answers: np.ndarray) -> np.ndarray:
    """The color that each answer begins with, "" if it is none of the scene's."""
    found = []
    for trial, token in zip(trials, answers, strict=True):
        begins = {subject.answer_id(trial.prompt, o.color): o.color for o in trial.scene.objects}
        found.append(begins.get(int(token), ""))
    return np.array(found)


def _colors_pointed(trials: list[Trial], cells: np.ndarray) -> np.ndarray:
    """The color of what is in the cell that each trial points to."""
    return np.array(
        [t.scene.at(t.scene.grid.cells[c]).color for t, c in zip(trials, cells, strict=True)]
    )


def _pointed(high, low) -> tuple[np.ndarray, float]:
    """Decode the low-entropy trials by the means of the high-entropy ones; the layer is chosen on these."""
    _, states, cells, first = high
    shares = [
        float((nearest_mean(layer[first], cells[first], layer[~first]) == cells[~first]).mean())
        for layer in states
    ]
    best = int(np.argmax(shares))
    return nearest_mean(states[best], cells, low[1][best]), shares[best]
