"""What is measured before a claim is judged: the subject's task first, then what the claim rests on.

`harness/suite/fixtures.py` blocks a claim by this table, and by it a run foretells what it measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.measuring.measuring import Experiment

TASK_OF: Mapping[str, str | None] = MappingProxyType(
    {
        "behaviour": None,
        "arrangements": None,
        "similarity": "four objects, 2x2",
        "components": "six objects, outer columns",
        "mediation": "two objects",
        "blocks": "block of four",
        "transplant": "block of four",
        "steering": "two solids",
        "steering_drawn": "side by side",
        "keys": "color of a shape",
        "entropy": "nine objects",
        "listing": "numbered list",
        "counting": "counting",
        "repair": "nine objects",
        "reuse": "directly beside",
        "retrieval_variants": "two objects",
        "similarity_variants": "four objects, 2x2",
    }
)
"""The task that a subject must do before an experiment is run on it, by its name; None if there is none."""


def gate_for(task: str) -> Experiment:
    """The experiment that knows whether a subject does a task."""
    from harness.experiments.visual_symbols.behaviour import BEHAVIOUR, READINESS, TASKS

    return READINESS if task in TASKS else BEHAVIOUR


def measured_for(
    fixtures: Iterable[str], *, gate: bool = True, blocked: bool = False
) -> list[Experiment]:
    """The experiments that a claim with these fixtures measures, in the order in which it does.

    Args:
        fixtures: Names; those that are no experiment's measure nothing.
        gate: Whether subjects that fail a task are blocked.
        blocked: The claim will be blocked, so that nothing is measured but whether it is.
    """
    wanted = set(fixtures) & set(TASK_OF)
    if not wanted:
        return []
    from harness.experiments.catalogue import EXPERIMENTS

    found: dict[str, Experiment] = {}
    for experiment in (e for e in EXPERIMENTS if e.name in wanted):
        task = TASK_OF[experiment.name]
        before = [gate_for(task)] if task and gate else []
        for each in before if blocked else (*before, *experiment.needs, experiment):
            found[each.name] = each
    return list(found.values())
