"""What one process of a run measures, and for whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from harness.measuring.experiment import Experiment
from harness.runs.baselines import BadOption
from harness.runs.options import Options
from harness.runs.run import Run


@pytest.fixture
def run(tmp_path, monkeypatch):
    options = Options(
        subjects=("tiny-llava",), baseline="none", store=tmp_path / "s", records=tmp_path / "r"
    )
    made = Run(options, lambda line: None)
    monkeypatch.setattr(made.measuring, "subject_of", lambda entry: None)
    return made


def giving(value, asked):
    def measure(request):
        asked.append(value)
        return xr.Dataset({"x": (("trial",), np.full(request.trials, value))})

    return Experiment("behaviour", measure, 40)


def test_two_experiments_of_one_name_are_measured_each_for_itself(run):
    asked = []
    first, second = giving(1.0, asked), giving(2.0, asked)
    [entry] = run.entries
    found = [float(run.measure(e, entry).data.x[0]) for e in (first, second, first)]
    assert found == [1.0, 2.0, 1.0]
    assert asked == [1.0, 2.0], "what was measured in this process is not measured again"


@pytest.mark.parametrize("baseline", [None, "none", "published"])
def test_heads_cannot_be_asked_to_stay_without_a_run_that_has_some(tmp_path, baseline):
    options = Options(subjects=("tiny-llava",), baseline=baseline, strict=True)
    with pytest.raises(BadOption, match="--strict-heads: there is no run"):
        Run(replace(options, store=tmp_path / "s", records=tmp_path / "r"), print)
