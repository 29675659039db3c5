"""All experiments together."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from harness.experiments.catalogue import EXPERIMENTS
from harness.experiments.visual_symbols.behaviour import BEHAVIOUR, READINESS
from harness.measuring.measuring import Experiment, Measuring
from harness.runs.run import ClaimsRun
from harness.statistics.looks import AUTO, confidence, looking
from harness.subjects.registry import find, read_registry


def test_what_others_or_a_gate_rest_on_is_never_asked_in_part():
    rested_on = {BEHAVIOUR, READINESS} | {e for other in EXPERIMENTS for e in other.needs}
    assert {e.name for e in EXPERIMENTS if not e.looks} == {e.name for e in rested_on}


def test_names_are_each_of_one_experiment():
    assert len({e.name for e in EXPERIMENTS}) == len(EXPERIMENTS)


def test_an_experiment_that_is_asked_whole_is_judged_at_once(tmp_path):
    """And one that has looks begins with the first that is worth it."""
    stub = SimpleNamespace(
        measuring=Measuring(None, None, trials=AUTO, seed=0, setting={}, say=print),
        options=SimpleNamespace(trials=AUTO),
        folder=tmp_path,
        _measured={},
    )
    stub.measuring.measure = lambda experiment, entry: stub.measuring.trials_of(experiment)
    entry = find("tiny-llava", read_registry())
    whole = Experiment("whole", print, trials=160, looks=False)
    for experiment, asked, level in ((whole, 160, 0.95), (replace(whole, looks=True), 64, 0.994)):
        with looking(0):
            assert ClaimsRun.measured(stub, experiment, entry) == asked
            assert confidence() == level
    # No level of a look is spent on what is not judged at one.
    assert stub.measuring.trials_of(whole) == 160
    with looking(0):
        assert stub.measuring.trials_of(whole) == 160
