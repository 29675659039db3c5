"""The noise of simulated curves is as large as that which is measured."""

from __future__ import annotations

import numpy as np
import pytest

from harness.calibration.orders import NEIGHBORS, SPREAD, add_noise
from harness.experiments.catalogue import find_experiment
from harness.measuring.experiment import measure_alone
from harness.subjects.loading import load
from harness.subjects.registry import find, read_registry


def test_simulated_noise_has_the_spread_and_goes_along_from_layer_to_layer():
    curve = np.array([0.0, 0.0, 0.5, 0.9])
    _, draws = add_noise(curve, 100, SPREAD, np.random.default_rng(0), draws=20_000)
    np.testing.assert_allclose(draws.std(0), SPREAD / 10 * (1 - curve**2), rtol=0.03)
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(NEIGHBORS, abs=0.02)
    assert np.corrcoef(draws.T)[0, 3] == pytest.approx(NEIGHBORS**3, abs=0.03)


@pytest.mark.deep
@pytest.mark.parametrize("name", ["tiny-llava", "tiny-qwen2-vl", "planted"])
def test_measured_curves_are_no_noisier_than_simulated_ones(name):
    data = measure_alone(find_experiment("similarity"), load(find(name, read_registry())))
    whole = data.sel(half="all")
    error = whole.r_draws.std("draw").values * np.sqrt(int(whole.scenes))
    assert (error <= SPREAD * (1 - whole.r.values**2)).all()
