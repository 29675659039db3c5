"""E2: representational similarity over layers (Assouel et al., section 3.3 and appendix A.2).

Residual stream, cosine similarity of all trial pairs, Pearson correlation with the RSM of position or of
features; at the comma after each mention and at the last token. Four of nine objects are drawn for each
trial, so that the words do not determine the target; pairs of trials that show one image are left out,
since likeness of an image to itself is no evidence for a code.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from harness.measures.similarity import (
    cosine_rsm,
    feature_rsm,
    mantel_null,
    position_rsm,
    rsa_draws,
)
from harness.measuring.batches import parts
from harness.measuring.experiment import Request
from harness.statistics.clusters import cluster_weights
from harness.statistics.halves import DRAWS, PERMUTATIONS, estimation_half
from harness.stimuli.design import HIGH_ENTROPY, balanced_trials
from harness.tracing.capture import capture

ROWS = 32

PAIRS = ("position@mentions", "position@last", "features@last")
HALVES = ("all", "estimation", "evaluation")


def measure(request: Request) -> xr.Dataset:
    """RSA curves with bootstrap draws.

    Returns:
        `r` [pair, half, layer], `r_draws` [pair, half, draw, layer] (scenes resampled),
        `null` [pair, permutation]: the highest r over layers when item labels are permuted.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    grid = subject.grids[2]
    drawn = balanced_trials(grid, HIGH_ENTROPY[3], trials, rng)
    commas, last = [], []
    for part in parts(trials, ROWS):
        request.progress(part.start, trials)
        batch = subject.encode(drawn[part])
        tokens = torch.tensor([[*row, batch.last] for row in batch.separators])
        read = capture(subject, batch, "residual", tokens)
        commas.append(read[:, :, :-1])
        last.append(read[:, :, -1:])
    states = {"mentions": torch.cat(commas, 1).numpy(), "last": torch.cat(last, 1).numpy()}

    where = np.array([[grid.centre(t.scene.cell_of(o)) for o in t.described] for t in drawn])
    targets = {
        "position@mentions": position_rsm(where.transpose(1, 0, 2)),
        "position@last": position_rsm(
            np.array([grid.centre(t.scene.cell_of(t.target)) for t in drawn])
        )[None],
        "features@last": feature_rsm(
            np.array([t.target.color for t in drawn]), np.array([t.target.shape for t in drawn])
        )[None],
    }
    scenes = np.array([t.scene.key for t in drawn])
    first = estimation_half(scenes, rng)
    members = {"all": np.ones(trials, bool), "estimation": first, "evaluation": ~first}
    r, r_draws, null = [], [], []
    for pair in PAIRS:
        model = cosine_rsm(states[pair.split("@")[1]].transpose(0, 2, 1, 3))
        for half in HALVES:
            chosen = np.flatnonzero(members[half])
            part = np.ix_(range(model.shape[0]), range(model.shape[1]), chosen, chosen)
            own, target = model[part], targets[pair][:, chosen][:, :, chosen]
            ones = np.ones((1, len(chosen)), int)
            shown = scenes[chosen]
            r.append(rsa_draws(own, target, ones, shown)[0])
            r_draws.append(rsa_draws(own, target, cluster_weights(shown, DRAWS, rng), shown))
        null.append(np.nanmax(mantel_null(model, targets[pair], PERMUTATIONS, rng, scenes), -1))
    shape = (len(PAIRS), len(HALVES))
    return xr.Dataset(
        {
            "r": (("pair", "half", "layer"), np.reshape(r, (*shape, -1))),
            "r_draws": (
                ("pair", "half", "draw", "layer"),
                np.reshape(r_draws, (*shape, DRAWS, -1)),
            ),
            "null": (("pair", "permutation"), np.array(null)),
            "size": (("half",), [int(members[h].sum()) for h in HALVES]),
            "scenes": (("half",), [len(np.unique(scenes[members[h]])) for h in HALVES]),
        },
        {"pair": list(PAIRS), "half": list(HALVES), "layer": np.arange(subject.layers)},
    )
