"""E1: the last token in its plane of two principal components (Assouel et al., Figure 1b).

As in the figure, six objects are targets at six cells. Trials of the paper show the same six objects, so that
the words alone name the one that is left out; here the others of a trial are drawn from nine objects.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from harness.experiments.editing import find_last_token
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.targets import locate_target
from harness.measures.components import NEIGHBOURS, neighbours_agree, project_to_plane
from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.stimuli.design import HIGH_ENTROPY, PCA_CELLS, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.stimuli.scene import Grid
from harness.tracing.capture import capture

ROWS = 32
"""Trials in one pass at most."""

FACTORS = ("position", "identity")

TARGETS = 6
"""Different targets, as many as cells: a plane has to separate as many objects as positions."""


def measure(request: Request) -> xr.Dataset:
    """Measure the plane of every layer, and whether a trial's five nearest neighbours share its cell or object.

    Targets are six objects at six cells (see `draw_plane_trials`).

    Returns:
        `plane` [layer, trial, axis], fitted per layer on all trials; `agrees` bool
        [factor, layer, trial], neighbours taken from the same half and never from the same scene;
        `cell`, `identity`, `scene` [trial]; `half` [trial].
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    drawn = draw_plane_trials(subject.grids[3], trials, rng)
    states = []
    for part in cut_batches(trials, ROWS):
        request.progress(part.start, trials)
        batch = subject.encode(drawn[part])
        states.append(capture(subject, batch, "residual", find_last_token(batch))[:, :, 0])
    layers = torch.cat(states, 1).numpy()

    cells = np.array(["{} {}".format(*locate_target(t)) for t in drawn])
    identity = np.array([t.target.name for t in drawn])
    halves = Halves.deal(list_scenes(drawn), rng)
    planes = np.stack([project_to_plane(layer)[0] for layer in layers])
    agrees = np.zeros((len(FACTORS), len(layers), trials), bool)
    for f, labels in enumerate((cells, identity)):
        for half in (halves.first, halves.second):
            for index, points in enumerate(planes):
                agrees[f, index, half] = neighbours_agree(
                    points[half], labels[half], halves.scenes[half], NEIGHBOURS
                )
    return xr.Dataset(
        {
            "plane": (("layer", "trial", "axis"), planes),
            "agrees": (("factor", "layer", "trial"), agrees),
            "cell": (("trial",), cells),
            "identity": (("trial",), identity),
            "scene": (("trial",), halves.scenes),
            "half": (("trial",), halves.names),
        },
        {"factor": list(FACTORS), "layer": np.arange(subject.layers)},
    )


def draw_plane_trials(grid: Grid, trials: int, rng: np.random.Generator) -> list[Trial]:
    """Draw trials with each of TARGETS objects as target at each cell, as equally often as can be.

    The targets are drawn from nine objects, and the others of a trial from all that are left of the nine, so
    that by the words of the prompt one to four of the six could be left out, three as a rule.

    Args:
        grid: The 3x3 canvas; its outer columns are used.
        trials: How many trials.
        rng: Where the randomness comes from.
    """
    objects = HIGH_ENTROPY[3]
    targets = {objects[i] for i in rng.permutation(len(objects))[:TARGETS]}
    rounds = -(-trials // (TARGETS * len(PCA_CELLS)))
    drawn: list[Trial] = []
    for _ in range(rounds):
        round_ = draw_balanced_trials(
            grid, objects, len(objects) * len(PCA_CELLS), rng, cells=PCA_CELLS
        )
        drawn += [t for t in round_ if t.target in targets]
    return drawn[:trials]
