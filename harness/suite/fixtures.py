"""Fixtures of the claims: each experiment of the catalogue is one, by its name.

It gives the experiment's reading for one subject, measured or out of the store, if the subject does the task
that the experiment requires; else the claim is blocked, with the accuracy that was measured, before anything
expensive is.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.experiments.catalogue import EXPERIMENTS
from harness.measuring.experiment import Experiment
from harness.readings.reading import Reading
from harness.suite.judge import Judge


def _make_fixture(experiment: Experiment) -> Callable[[Judge], Reading]:
    def read(judge: Judge) -> Reading:
        return judge.measure(experiment)

    read.__doc__ = f"Reading of the experiment {experiment.name} ({experiment.module})."
    return pytest.fixture(name=experiment.name)(read)


globals().update({f"_{e.name}": _make_fixture(e) for e in EXPERIMENTS if e.reading})
