"""Estimates by the jackknife on the scale of logarithms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from harness.statistics.jackknife import from_jackknife


@given(st.lists(st.floats(-2, 2), min_size=5, max_size=12), st.floats(0.5, 0.99))
def test_for_a_mean_of_logarithms_it_is_students_interval(logs, level):
    logs = np.array(logs)
    n = len(logs)
    without = np.exp((logs.sum() - logs) / (n - 1))
    found = from_jackknife(float(np.exp(logs.mean())), without, n=n)
    reach = float(t.ppf((1 + level) / 2, n - 1)) * logs.std(ddof=1) / math.sqrt(n)
    expected = np.exp([logs.mean() - reach, logs.mean() + reach])
    assert found.interval(level) == pytest.approx(expected, rel=1e-6)


def test_what_has_no_logarithm_is_refused():
    for value, without in ((1.0, [1.0, 0.0]), (-1.0, [1.0, 1.0]), (1.0, [1.0, math.nan])):
        with pytest.raises(ValueError, match="positive"):
            from_jackknife(value, without, n=2)
    with pytest.raises(ValueError, match="two clusters"):
        from_jackknife(1.0, [1.0], n=1)
