"""E2: what states represent over layers (Assouel et al., section 3.3 and appendix A.2).

Residual stream, cosine similarity of all trial pairs, Pearson correlation with the RSM of position or of
features; at three tokens of each mention and at the last token. The paper reads the comma after a mention; a
code may stand at the noun or at the color instead. Beside similarity, a linear probe reads the same codes from
the same states, since a code that is there need not be most of what differs between states.

Four of nine objects are drawn for each trial, so that the words do not determine the target; pairs of trials
that show one image are left out, since likeness of an image to itself is no evidence for a code.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from harness.experiments.correlating import Comparison
from harness.experiments.halves import Halves, list_scenes
from harness.experiments.mentions import capture_mentions, compare_states
from harness.experiments.probing import probe_labels
from harness.experiments.targets import (
    compare_features,
    compare_mentions,
    compare_targets,
    number_cells,
    number_identities,
    number_mentioned_cells,
)
from harness.measures.similarity import mantel_null
from harness.measuring.experiment import Request
from harness.statistics.halves import DRAWS, PERMUTATIONS
from harness.stimuli.design import HIGH_ENTROPY, draw_balanced_trials

PAIRS = ("position@mentions", "position@last", "features@last")
"""What is represented, and at which tokens. Mentions are measured at each of their tokens."""

HALVES = ("all", "estimation", "evaluation")


def measure(request: Request) -> xr.Dataset:
    """Measure for each pair how RSA runs over the layers, with bootstrap draws, and what a probe reads.

    Pairs are those of PAIRS, but "position@separator", "position@noun", "position@color" in place of
    "position@mentions".

    Returns:
        `r` [pair, half, layer], `r_draws` [pair, half, draw, layer] (scenes resampled),
        `null` [pair, permutation]: the highest r over layers when item labels are permuted, in one order for
        all tokens of mentions; `size`, `scenes` [half]: how many trials there are, and how many scenes they
        show; `probe_chosen` [pair, layer], `probe_right`, `probe_chance` [pair, layer, judged]: as in
        `harness.experiments.probing.Probed`, of cells and, as features, of which object it is; `judged_scene`
        [judged].
    """
    subject, trials, rng = request.subject, request.trials, request.rng
    grid = subject.grids[2]
    drawn = draw_balanced_trials(grid, HIGH_ENTROPY[3], trials, rng)
    request.progress(0, 2)
    states = capture_mentions(subject, drawn)
    request.progress(1, 2)
    scenes = list_scenes(drawn)
    halves = Halves.deal(scenes, rng)
    members = {
        "all": np.ones(trials, bool),
        "estimation": halves.first,
        "evaluation": halves.second,
    }
    tokens = tuple(token for token in states if token != "last")
    codes = (
        ("position", tokens, compare_mentions(drawn), number_mentioned_cells(drawn)),
        ("position", ("last",), compare_targets(drawn), number_cells(drawn)[:, None]),
        ("features", ("last",), compare_features(drawn), number_identities(drawn)[:, None]),
    )
    pairs, r, r_draws, null, probed = [], [], [], [], []
    for code, places, truth, labels in codes:
        models = [compare_states(states[place]) for place in places]
        for place, model in zip(places, models, strict=True):
            pairs.append(f"{code}@{place}")
            compared = Comparison(model, truth, scenes)
            for half in HALVES:
                of_half = compared.select(members[half])
                r.append(of_half.correlate())
                r_draws.append(of_half.resample(of_half.draw_weights(rng)))
            probed.append(probe_labels(states[place], labels, halves, rng))
        # One order for all tokens, so that the highest of them can be tested as the highest of all layers is.
        permuted = mantel_null(np.concatenate(models), truth, PERMUTATIONS, rng, scenes)
        null += list(np.nanmax(permuted.reshape(PERMUTATIONS, len(places), -1), -1).T)
    shape = (len(pairs), len(HALVES))
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
            "probe_chosen": (("pair", "layer"), np.array([p.chosen for p in probed])),
            "probe_right": (("pair", "layer", "judged"), np.array([p.right for p in probed])),
            "probe_chance": (("pair", "layer", "judged"), np.array([p.chance for p in probed])),
            "judged_scene": (("judged",), scenes[halves.second]),
        },
        {"pair": pairs, "half": list(HALVES), "layer": np.arange(subject.layers)},
    )
