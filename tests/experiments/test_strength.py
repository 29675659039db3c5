"""The strength of a stage's best head is honest: chosen on one half, judged on the other, by scene."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.readings.visual_symbols.mediation import Mediation
from harness.stimuli.contrast import CONDITIONS


def reading(score, scenes):
    """The reading of scores [trial, layer, head], the same for every condition."""
    stages = len(CONDITIONS)
    return Mediation(
        xr.Dataset(
            {
                "score": (("condition", "trial", "layer", "head"), np.stack([score] * stages)),
                "scene": (("condition", "trial"), [scenes] * stages),
                "drawn": (("condition",), [len(score)] * stages),
                "kept": (("condition",), [len(score)] * stages),
            },
            {"condition": list(CONDITIONS)},
        )
    )


def test_the_best_of_many_heads_of_noise_has_no_strength():
    found = []
    for seed in range(30):
        score = np.random.default_rng(seed).normal(size=(50, 8, 32))
        found.append(reading(score, [f"s{i}" for i in range(50)]).strength("id_retrieval").value)
    # The highest of 256 means of 25 trials lies at 0.55; their mean over seeds is known to 0.04.
    assert abs(np.mean(found)) < 0.15


def test_trials_about_one_scene_add_no_certainty_if_they_agree():
    score = np.random.default_rng(0).normal(size=(24, 4, 4))
    scenes = [f"s{i}" for i in range(24)]
    once = reading(score, scenes).strength("id_retrieval")
    twice = reading(np.repeat(score, 2, 0), np.repeat(scenes, 2).tolist()).strength("id_retrieval")
    assert (twice.n, twice.clusters) == (2 * once.n, once.clusters)
    assert twice.interval(0.95) == pytest.approx(once.interval(0.95))
