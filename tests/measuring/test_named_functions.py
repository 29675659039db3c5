"""Two functions never share a measurement; what no file names is not kept."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import xarray as xr

from harness.experiments.catalogue import find_experiment
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
from harness.subjects.registry import Refused, read_registry

ENTRY = read_registry()["tiny-llava"]


def measure_ones(request):
    return xr.Dataset({"x": (("trial",), np.ones(request.trials))})


def measure_two(request):
    return xr.Dataset({"x": (("trial",), 2 * np.ones(request.trials))})


def measure_strong(request, strength):
    return xr.Dataset({"x": (("trial",), strength * np.ones(request.trials))})


def closure(strength):
    return lambda request: measure_strong(request, strength)


class Callable:
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, request):
        return measure_strong(request, self.strength)


@pytest.fixture
def measure(tmp_path):
    """Measure two experiments of one name, one after the other; gives what each measured and what was said."""
    said = []
    measuring = Measuring(
        Store(tmp_path), lambda e: None, trials=None, seed=0, setting={}, say=said.append
    )

    def go(*functions):
        made = [Experiment("own", f, 40) if callable(f) else f for f in functions]
        return [float(measuring.measure(e, ENTRY).data.x[0]) for e in made], said

    return go


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (measure_ones, measure_two),
        (partial(measure_strong, strength=1.0), partial(measure_strong, strength=2.0)),
        (closure(1.0), closure(2.0)),
        (Callable(1.0), Callable(2.0)),
        (
            partial(measure_strong, strength=np.ones(1)),
            partial(measure_strong, strength=np.full(1, 2)),
        ),
    ],
    ids=["functions", "arguments", "closures", "objects", "arrays"],
)
def test_two_functions_never_share_a_measurement(measure, one, other):
    found, said = measure(one, other, one)
    assert found == [1.0, 2.0, 1.0]
    kept = (
        isinstance(one, partial)
        and one.keywords["strength"] == 1.0
        and isinstance(one.keywords["strength"], float)
    )
    named = one is measure_ones or kept
    assert any("is not kept: no file says" in line for line in said) != named


def test_both_functions_of_one_file_have_names_of_their_own():
    steering, drawn = find_experiment("steering"), find_experiment("steering_drawn")
    assert steering.name_source() != drawn.name_source()
    mediation = find_experiment("mediation")
    assert mediation.name_source() != mediation.name_source(gate=False)


def test_a_refused_function_without_a_name_refuses_no_other(measure):
    def refuse(request):
        raise Refused("not on this subject")

    with pytest.raises(Refused, match="not on this subject"):
        measure(refuse)
    assert measure(closure(3.0))[0] == [3.0]
