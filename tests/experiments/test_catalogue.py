"""All experiments together."""

from __future__ import annotations

from harness.experiments.behaviour import BEHAVIOUR, READINESS
from harness.experiments.catalogue import EXPERIMENTS


def test_what_others_or_a_gate_rest_on_is_never_asked_in_part():
    rested_on = {BEHAVIOUR, READINESS} | {e for other in EXPERIMENTS for e in other.needs}
    assert {e.name for e in EXPERIMENTS if not e.looks} == {e.name for e in rested_on}


def test_names_are_each_of_one_experiment():
    assert len({e.name for e in EXPERIMENTS}) == len(EXPERIMENTS)
