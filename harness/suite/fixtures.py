"""Fixtures for claims: each experiment of the catalogue that has a reading is one, under the experiment's name.

It gives the experiment's reading for one subject, measured now or taken from the store. If the subject fails
the task that the experiment requires, the claim is blocked before anything expensive is measured, with the
accuracy at the task as the reason; if it fails the task on the experiment's own trials, after these were.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.experiments.catalogue import DRAFTS, EXPERIMENTS
from harness.measuring.experiment import Experiment
from harness.readings.reading import Reading
from harness.suite.judge import Judge


def _make_fixture(experiment: Experiment) -> Callable[[Judge], Reading]:
    def read(judge: Judge) -> Reading:
        return judge.measure(experiment)

    read.__doc__ = f"Reading of the experiment {experiment.name} ({experiment.module})."
    return pytest.fixture(name=experiment.name)(read)


globals().update({f"_{e.name}": _make_fixture(e) for e in (*EXPERIMENTS, *DRAFTS) if e.reading})
