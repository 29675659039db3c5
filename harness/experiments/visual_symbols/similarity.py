"""E2: representational similarity over layers (Assouel et al., section 3.3 and appendix A.2).

Residual stream, cosine similarity of all trial pairs, Pearson correlation with the RSM of position or of
features; at the comma after each mention and at the last token. Four of nine objects are drawn for each
trial, so that the words do not determine the target; pairs of trials that show one image are left out,
since likeness of an image to itself is no evidence for a code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from harness.experiments.correlating import Comparison
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.targets import compare_features, compare_mentions, compare_targets
from harness.measures.similarity import cosine_rsm, mantel_null
from harness.measuring.batches import cut_batches
from harness.measuring.experiment import Request
from harness.statistics.halves import DRAWS, PERMUTATIONS
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials
from harness.stimuli.prompt import Trial
from harness.tracing.capture import capture

ROWS = 32
"""Trials in one pass at most."""

PAIRS = ("position@mentions", "position@last", "features@last")
"""What is represented, and at which tokens."""

HALVES = ("all", "estimation", "evaluation")


def measure(request: Request) -> xr.Dataset:
    """Measure for each pair how RSA runs over the layers, with bootstrap draws.

    Returns:
        `r` [pair, half, layer], `r_draws` [pair, half, draw, layer] (scenes resampled),
        `null` [pair, permutation]: the highest r over layers when item labels are permuted;
        `size`, `scenes` [half]: how many trials there are, and how many scenes they show.
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    grid = subject.grids[2]
    drawn = draw_balanced_trials(grid, HIGH_ENTROPY[3], trials, rng)
    states = _capture_states(request, drawn)
    truths = {
        "position@mentions": compare_mentions(drawn),
        "position@last": compare_targets(drawn),
        "features@last": compare_features(drawn),
    }
    scenes = list_scenes(drawn)
    halves = Halves.deal(scenes, rng)
    members = {
        "all": np.ones(trials, bool),
        "estimation": halves.first,
        "evaluation": halves.second,
    }
    r, r_draws, null = [], [], []
    for pair in PAIRS:
        model = cosine_rsm(states[pair.split("@")[1]].transpose(0, 2, 1, 3))
        compared = Comparison(model, truths[pair], scenes)
        for half in HALVES:
            of_half = compared.select(members[half])
            r.append(of_half.correlate())
            r_draws.append(of_half.resample(of_half.draw_weights(rng)))
        null.append(np.nanmax(mantel_null(model, truths[pair], PERMUTATIONS, rng, scenes), -1))
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


def _capture_states(request: Request, drawn: Sequence[Trial]) -> dict[str, NDArray[np.float32]]:
    """The residual stream at the comma after each mention and at the last token, [L, n, S, d] each."""
    commas, last = [], []
    for part in cut_batches(len(drawn), ROWS):
        request.progress(part.start, len(drawn))
        batch = request.subject.encode(drawn[part])
        tokens = torch.tensor([[*row, batch.last] for row in batch.separators])
        read = capture(request.subject, batch, "residual", tokens)
        commas.append(read[:, :, :-1])
        last.append(read[:, :, -1:])
    return {"mentions": torch.cat(commas, 1).numpy(), "last": torch.cat(last, 1).numpy()}
