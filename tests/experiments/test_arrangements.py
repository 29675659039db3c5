"""Arrangements of prompts: every one of the sweep is asked, and the pair judged was chosen elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from families import loaded

from harness.experiments.similarity_variants import Arrangements, run_arrangements
from harness.experiments.sweeps import ARRANGEMENTS


def test_every_arrangement_is_asked_of_a_subject_with_a_template(family_folders):
    subject = loaded(family_folders["qwen2_vl"])
    data = run_arrangements(subject, 24, np.random.default_rng(0), lambda done, of: None)
    assert data.right.shape == (len(ARRANGEMENTS), 24)
    assert list(data.how.values) == list(ARRANGEMENTS)
    assert set(data.part.values) == {"estimation", "evaluation"}


def test_without_a_template_there_is_nothing_to_compare(subject):
    data = run_arrangements(subject, 24, np.random.default_rng(0), lambda done, of: None)
    assert not Arrangements(data).difference().applies


@pytest.mark.parametrize(("better", "value"), [("prefilled", 1.0), ("chat", -1.0)])
def test_best_and_worst_are_those_of_the_other_half(better, value):
    """On the estimation half `prefilled` is best and `chat` worst, whatever the other half says."""
    part = np.repeat(["estimation", "evaluation"], 20)
    right = np.zeros((len(ARRANGEMENTS), 40), bool)
    right[0, ::2] = True
    right[ARRANGEMENTS.index("prefilled"), :20] = True
    right[ARRANGEMENTS.index(better), 20:] = True
    data = xr.Dataset(
        {
            "right": (("how", "trial"), right),
            "scene": (("trial",), [f"s{i}" for i in range(40)]),
            "part": (("trial",), part),
        },
        {"how": list(ARRANGEMENTS)},
    )
    found = Arrangements(data).difference()
    assert (found.value, found.n) == (value, 20)
