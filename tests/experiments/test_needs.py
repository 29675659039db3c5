"""Experiments that build on the measurements of others."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
from harness.subjects.registry import read_registry

ENTRY = read_registry()["tiny-llava"]


class Made:
    """Experiments that note what they are run with: `last` needs `middle` and `first`."""

    def __init__(self, *, ungated: bool = True) -> None:
        self.runs, self.draws, self.given = [], {}, {}
        self.first = Experiment(
            "first",
            self.run("first"),
            40,
            source="made_up:first",
            ungated=self.run("first, ungated") if ungated else None,
        )
        self.other = Experiment("other", self.run("other"), 40, source="made_up:other")
        self.last = Experiment(
            "last", self.run("last"), 50, source="made_up:last", needs=(self.first, self.other)
        )

    def run(self, name):
        def made(request):
            drawn = request.rng.random(5)
            self.runs.append(name)
            self.draws[name], self.given[name] = drawn, tuple(request.needed.values())
            return xr.Dataset(
                {"drawn": (("i",), drawn), "trials": request.trials}, attrs={"by": name}
            )

        return made


@pytest.fixture
def made():
    return Made()


@pytest.fixture
def measuring(tmp_path):
    def build(folder="store", **options):
        return Measuring(
            Store(tmp_path / folder),
            lambda entry: None,
            setting={"device": "cpu"},
            say=lambda line: None,
            **{"trials": None, "seed": 0, **options},
        )

    return build


def test_needed_measurements_are_given_in_the_order_of_needs(made, measuring):
    done = measuring().measure(made.last, ENTRY)
    assert made.runs == ["first", "other", "last"]
    assert [d.attrs["by"] for d in made.given["last"]] == ["first", "other"]
    assert [d.attrs["experiment"] for d in made.given["last"]] == ["first", "other"]
    assert made.given["first"] == ()
    assert done.data.attrs["by"] == "last"


def test_experiments_have_their_own_number_of_trials_unless_one_is_set(made, measuring):
    done = measuring().measure(made.last, ENTRY)
    assert [int(d.trials) for d in (*made.given["last"], done.data)] == [40, 40, 50]
    done = measuring(trials=30).measure(made.last, ENTRY)
    assert [int(d.trials) for d in (*made.given["last"], done.data)] == [30, 30, 30]


def test_needed_measurements_are_made_once_and_kept(made, measuring):
    before = measuring().measure(made.last, ENTRY)
    again = measuring().measure(made.last, ENTRY)
    found = measuring().measure(made.first, ENTRY)
    assert made.runs == ["first", "other", "last"]
    assert again.data.identical(before.data)
    assert (again.key, again.seconds, found.seconds) == (before.key, 0.0, 0.0)
    assert found.data.identical(made.given["last"][0])


def test_a_measurement_made_earlier_serves_experiments_that_need_it(made, measuring):
    before = measuring().measure(made.first, ENTRY)
    measuring().measure(made.last, ENTRY)
    assert made.runs == ["first", "other", "last"]
    assert made.given["last"][0].identical(before.data)


def test_experiments_share_a_measurement_that_both_need(made, measuring):
    second = Experiment(
        "second", made.run("second"), 50, source="made_up:second", needs=(made.first,)
    )
    for experiment in (made.last, second):
        measuring().measure(experiment, ENTRY)
    assert made.runs == ["first", "other", "last", "second"]
    assert made.given["second"][0].identical(made.given["last"][0])


def test_a_kept_measurement_is_found_without_those_it_needed(made, measuring, tmp_path):
    done = measuring().measure(made.last, ENTRY)
    needed = measuring().measure(made.first, ENTRY)
    for path in (tmp_path / "store").glob(f"{needed.key}.*"):
        path.unlink()
    made.runs.clear()
    assert measuring().measure(made.last, ENTRY).key == done.key
    assert made.runs == []


def test_an_experiment_draws_other_trials_than_those_it_needs(made, measuring):
    measuring().measure(made.last, ENTRY)
    assert not np.isin(made.draws["last"], made.draws["first"]).any()
    assert (made.draws["first"] == np.random.default_rng(0).random(5)).all()


def test_draws_with_needs_follow_from_the_seed_and_the_name(made, measuring):
    second = Experiment(
        "second", made.run("second"), 50, source="made_up:second", needs=(made.first,)
    )
    drawn = {}
    for folder in ("a", "b"):
        for experiment in (made.last, second):
            measuring(folder).measure(experiment, ENTRY)
            drawn[folder, experiment.name] = made.draws[experiment.name]
    measuring("c", seed=1).measure(made.last, ENTRY)
    assert (drawn["a", "last"] == drawn["b", "last"]).all()
    assert (drawn["a", "second"] == drawn["b", "second"]).all()
    assert not np.isin(drawn["a", "last"], drawn["a", "second"]).any()
    assert not np.isin(drawn["a", "last"], made.draws["last"]).any()


def test_draws_do_not_depend_on_whether_what_is_needed_was_kept(made, measuring):
    measuring("a").measure(made.last, ENTRY)
    fresh = made.draws["last"]
    measuring("b").measure(made.first, ENTRY)
    measuring("b").measure(made.last, ENTRY)
    assert (made.draws["last"] == fresh).all()


def test_without_the_gate_needed_experiments_run_ungated_and_are_kept_apart(made, measuring):
    gated = measuring().measure(made.last, ENTRY)
    ungated = measuring(gate=False).measure(made.last, ENTRY)
    assert made.runs == ["first", "other", "last", "first, ungated", "last"]
    assert made.given["last"][0].attrs["by"] == "first, ungated"
    assert made.given["last"][0].attrs["gate"] == "none"
    assert gated.key != ungated.key
    assert "gate" not in gated.data.attrs
    assert ungated.data.attrs["gate"] == "none"
    assert measuring().measure(made.last, ENTRY).data.identical(gated.data)


def test_gated_and_ungated_measurements_have_different_keys(made, measuring):
    keys = {measuring(gate=g).measure(made.first, ENTRY).key for g in (True, False)}
    assert len(keys) == 2
    assert made.runs == ["first", "first, ungated"]


def test_the_gate_makes_no_other_measurement_where_nothing_is_gated(measuring):
    made = Made(ungated=False)
    keys = {measuring(gate=g).measure(made.last, ENTRY).key for g in (True, False)}
    assert len(keys) == 1
    assert made.runs == ["first", "other", "last"]


def test_an_ungated_run_is_given_what_the_experiment_needs(made, measuring):
    both = Experiment(
        "both",
        made.run("both"),
        50,
        source="made_up:both",
        needs=(made.first,),
        ungated=made.run("both, ungated"),
    )
    measuring(gate=False).measure(both, ENTRY)
    assert made.runs == ["first, ungated", "both, ungated"]
    assert made.given["both, ungated"][0].attrs["by"] == "first, ungated"


def test_needs_of_needs_are_measured_too(made, measuring):
    top = Experiment("top", made.run("top"), 50, source="made_up:top", needs=(made.last,))
    measuring().measure(top, ENTRY)
    assert made.runs == ["first", "other", "last", "top"]
    assert [d.attrs["by"] for d in made.given["top"]] == ["last"]
