"""Fixtures of the claims: each is an experiment's reading for one subject, measured or out of the store.

A claim of sections 3.3 and 3.4 is asked only of subjects that do the task: the fixture blocks it
otherwise, with the accuracy that was measured.
"""

import pytest

from harness.experiments.behaviour import BEHAVIOUR, Behaviour
from harness.experiments.components import COMPONENTS, Components
from harness.experiments.mediation import MEDIATION, Mediation
from harness.experiments.similarity import SIMILARITY, Similarity
from harness.judging.claim import above
from harness.judging.verdict import Judgement, Verdict, decide

DOES_THE_TASK = above(
    0.60,
    unit="share right",
    origin="chosen by us",
    note="below the 0.688 of LLaVA-1.5-7B on nine objects, the weakest subject the paper reports on",
)


def measured(experiment, judge):
    found = judge.run.measured(experiment, judge.entry)
    judge.measurement = found.key
    return found.data


def block_unless_right(which, judge):
    """End the test as blocked if the subject surely fails the task on one set of images."""
    if not judge.run.options.gate:
        return
    accuracy = Behaviour(measured(BEHAVIOUR, judge)).accuracy(which)
    judgement = decide(accuracy, DOES_THE_TASK, judge.entry.name)
    if judgement.verdict is Verdict.refuted:
        reason = f"the subject does not do the task ({which}): {judgement.reason}"
        judge.conclude(Judgement(Verdict.blocked, reason))


@pytest.fixture
def behaviour(judge):
    return Behaviour(measured(BEHAVIOUR, judge))


@pytest.fixture
def similarity(judge):
    block_unless_right("four objects, 2x2", judge)
    return Similarity(measured(SIMILARITY, judge))


@pytest.fixture
def components(judge):
    block_unless_right("six objects, outer columns", judge)
    return Components(measured(COMPONENTS, judge))


@pytest.fixture
def mediation(judge):
    block_unless_right("two objects", judge)
    return Mediation(measured(MEDIATION, judge))
