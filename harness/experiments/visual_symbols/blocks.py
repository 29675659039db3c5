"""E4 and E13: relative or absolute? Blocks of four objects in four places of the canvas (section 4.1, A.5.3).

Similarity of the last token to the target's slot in the block, to its cell in the image, and to its features,
layer by layer; and its plane of two components. Targets in the middle cell, which all blocks share, decide
between the codes: there the absolute position is one and the same.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.editing import captured, last_token
from harness.measures.components import NEIGHBOURS, neighbours_agree, plane
from harness.measures.similarity import (
    cosine_rsm,
    feature_rsm,
    position_rsm,
    rsa_draws,
)
from harness.measuring.experiment import Request
from harness.statistics.clusters import cluster_weights
from harness.statistics.halves import DRAWS, estimation_half
from harness.stimuli.blocks import MIDDLE, block_trials, slot_of
from harness.stimuli.design import HIGH_ENTROPY

CODES = ("relative", "absolute", "features")
HALVES = ("estimation", "evaluation")


def measure(request: Request) -> xr.Dataset:
    """Curves, planes and accuracy.

    Returns:
        `r` [code, half, layer] and `r_draws` [code, half, draw, layer] (scenes resampled); `between`
        [half] and `between_draws` [half, draw]: r of relative and absolute positions themselves; `plane`
        [layer, trial, axis]; `agrees` bool [which, layer, trial], whether a trial's neighbours in the plane
        share its slot, among all trials and among those in the middle cell; `slot`, `cell`, `scene`, `half`
        [trial].
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    drawn = block_trials(subject.grids[3], HIGH_ENTROPY[3], trials, rng)
    request.progress(0, 2)
    states = captured(subject, drawn, "residual", last_token)[:, :, 0].numpy()
    request.progress(1, 2)
    cells = [t.scene.cell_of(t.target) for t in drawn]
    slots = [slot_of(t.scene, t.target) for t in drawn]
    scenes = np.array([t.scene.key for t in drawn])
    truths = {
        "relative": position_rsm(np.array(slots, float))[None],
        "absolute": position_rsm(np.array(cells, float))[None],
        "features": feature_rsm(
            np.array([t.target.color for t in drawn]), np.array([t.target.shape for t in drawn])
        )[None],
    }
    first = estimation_half(scenes, rng)
    model = cosine_rsm(states[:, None])
    r = np.zeros((len(CODES), 2, len(states)))
    draws = np.zeros((len(CODES), 2, DRAWS, len(states)))
    between, between_draws = np.zeros(2), np.zeros((2, DRAWS))
    planes = np.stack([plane(layer)[0] for layer in states])
    middle = np.array([c == MIDDLE for c in cells])
    agrees = np.zeros((2, len(states), trials), bool)
    names = np.array(["{} {}".format(*s) for s in slots])
    for h, half in enumerate((first, ~first)):
        chosen = np.flatnonzero(half)
        part = np.ix_(range(len(states)), range(1), chosen, chosen)
        ones = np.ones((1, len(chosen)), int)
        weights = cluster_weights(scenes[chosen], DRAWS, rng)
        truth = {c: t[:, chosen][:, :, chosen] for c, t in truths.items()}
        for c, code in enumerate(CODES):
            r[c, h] = rsa_draws(model[part], truth[code], ones, scenes[chosen])[0]
            draws[c, h] = rsa_draws(model[part], truth[code], weights, scenes[chosen])
        own = truth["relative"][None]
        between[h] = rsa_draws(own, truth["absolute"], ones, scenes[chosen])[0, 0]
        between_draws[h] = rsa_draws(own, truth["absolute"], weights, scenes[chosen])[:, 0]
        for w, among in enumerate((half, half & middle)):
            if among.sum() <= 2 * NEIGHBOURS:
                # The reading says that they are too few.
                continue
            # A plane of its own: among targets in the middle other differences may be the largest.
            for layer, state in enumerate(states):
                points = planes[layer][among] if w == 0 else plane(state[among])[0]
                agrees[w, layer, among] = neighbours_agree(
                    points, names[among], scenes[among], NEIGHBOURS
                )
    return xr.Dataset(
        {
            "r": (("code", "half", "layer"), r),
            "r_draws": (("code", "half", "draw", "layer"), draws),
            "between": (("half",), between),
            "between_draws": (("half", "draw"), between_draws),
            "plane": (("layer", "trial", "axis"), planes),
            "agrees": (("which", "layer", "trial"), agrees),
            "slot": (("trial",), names),
            "cell": (("trial",), np.array(["{} {}".format(*c) for c in cells])),
            "scene": (("trial",), scenes),
            "part": (("trial",), np.where(first, *HALVES)),
        },
        {
            "code": list(CODES),
            "half": list(HALVES),
            "which": ["all", "middle"],
            "layer": np.arange(subject.layers),
        },
    )
