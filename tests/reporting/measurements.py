"""Small measurements, shaped as the experiments make them."""

from __future__ import annotations

import numpy as np
import xarray as xr

PAIRS = ["position@separator", "position@last", "features@last"]
LAYERS, TRIALS = 4, 24


def similarity() -> xr.Dataset:
    rng = np.random.default_rng(0)
    r = rng.random((3, 3, LAYERS))
    draws = r[:, :, None] + rng.normal(0, 0.02, (3, 3, 20, LAYERS))
    return xr.Dataset(
        {
            "r": (("pair", "half", "layer"), r),
            "r_draws": (("pair", "half", "draw", "layer"), draws),
            "null": (("pair", "half", "permutation"), rng.random((3, 3, 10)) / 10),
            "probe_right": (("pair", "layer", "judged"), rng.random((3, LAYERS, 6))),
            "probe_chance": (("pair", "layer", "judged"), rng.random((3, LAYERS, 6))),
        },
        {"pair": PAIRS, "half": ["all", "estimation", "evaluation"], "layer": np.arange(LAYERS)},
    )


def components() -> xr.Dataset:
    rng = np.random.default_rng(0)
    halves = np.where(np.arange(TRIALS) % 2, "estimation", "evaluation")
    agrees = np.zeros((2, LAYERS, TRIALS), bool)
    # On the estimation half layer 1 is position's and layer 3 identity's; on the other, layer 2.
    agrees[0, 1, halves == "estimation"] = True
    agrees[1, 3, halves == "estimation"] = True
    agrees[:, 2, halves == "evaluation"] = True
    return xr.Dataset(
        {
            "plane": (("layer", "trial", "axis"), rng.normal(size=(LAYERS, TRIALS, 2))),
            "agrees": (("factor", "layer", "trial"), agrees),
            "cell": (("trial",), np.resize(["0 0", "0 2", "1 0"], TRIALS)),
            "identity": (("trial",), np.resize(["red circle", "yellow heart"], TRIALS)),
            "half": (("trial",), halves),
        },
        {"factor": ["position", "identity"], "layer": np.arange(LAYERS)},
    )


def mediation(trials: int = TRIALS) -> xr.Dataset:
    score = np.random.default_rng(0).normal(size=(3, trials, LAYERS, 5))
    score[1, trials // 2 :] = np.nan
    score[2] = np.nan
    conditions = ["id_retrieval", "id_selection", "feature_retrieval"]
    return xr.Dataset(
        {"score": (("condition", "trial", "layer", "head"), score)}, {"condition": conditions}
    )
