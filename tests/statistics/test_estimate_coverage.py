"""A 95% interval covers the truth in 93 to 97 of 100 simulated experiments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.calibration.coverage import SITUATIONS, TOLERANCE, generator, share_covered

EXPERIMENTS = 4000

CLUSTERED = [
    "proportion, 12 scenes of 10, 0.80, correlation 0.5",
    "mean, 12 scenes of 10",
    "difference, 12 scenes of 10, 0.80 less 0.40, alike 0.0",
    "difference, 24 sets of heads in counting, 0.20 matter",
    "parts, 12 scenes of 10",
    "bootstrap, 12 scenes of 10",
]


def covered(name: str, **changes) -> float:
    situation = replace(SITUATIONS[name], **changes)
    return share_covered(situation, EXPERIMENTS, generator(name, 0))


@pytest.mark.deep
@pytest.mark.parametrize("name", SITUATIONS)
def test_an_interval_covers_the_truth_as_often_as_it_says(name):
    assert TOLERANCE[0] <= covered(name) <= TOLERANCE[1]


@pytest.mark.parametrize("name", CLUSTERED)
def test_an_interval_that_ignores_clusters_is_caught(name):
    estimates = SITUATIONS[name].estimates

    def naive(items, scenes, rng):
        return estimates(items, range(len(scenes)), rng)

    assert covered(name, sizes=[10] * 20, estimates=naive) < 0.8
