"""What answers without an edit tell of steering."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.judging.claim import below
from harness.judging.verdict import decide
from harness.readings.visual_symbols.steering import Steering

RARELY = below(0.3, unit="share of answers", origin="stated in the paper")


@pytest.mark.parametrize(
    ("right", "other", "verdict"),
    [
        (40, 0, "supported"),
        (0, 40, "refuted"),
        (20, 20, "refuted"),
        # Most answers name neither object; those that do name the described one.
        (4, 10, "refuted"),
        # It names nothing, as an untrained model does.
        (0, 0, "inconclusive"),
        (2, 0, "inconclusive"),
    ],
)
def test_only_answers_that_name_an_object_tell_which_is_named_without_an_edit(
    right, other, verdict
):
    given = np.array(["right"] * right + ["other"] * other + ["neither"] * (40 - right - other))
    data = xr.Dataset(
        {
            "right": (("trial",), given == "right"),
            "before": (("trial",), given == "other"),
            "scene": (("trial",), np.arange(40).astype(str)),
        }
    )
    assert decide(Steering(data).unedited(), RARELY, "a subject").verdict.value == verdict
