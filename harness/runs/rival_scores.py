"""Score the rival explanations of every measurement that a page shows, as the claims against rivals do."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

from harness.experiments.catalogue import find_experiment
from harness.measures.explanations import EXPLANATIONS
from harness.measures.mediation import spell_stage
from harness.readings.rivals import RivalReading
from harness.reporting.drawing import RivalScores
from harness.reporting.wording import number
from harness.statistics.estimate import Estimate


def score_rivals(data: xr.Dataset) -> list[RivalScores]:
    """How many answers each explanation predicts, under every edit that is judged; none if nothing is edited.

    Args:
        data: A measurement of any experiment of the catalogue; of another one there are no scores.
    """
    try:
        reading = find_experiment(data.attrs["experiment"].partition(" on ")[0]).load_reading()(
            data
        )
    except LookupError:
        return []
    # An experiment that could edit nothing has measured no answers.
    if not isinstance(reading, RivalReading) or "said" not in data:
        return []
    stages = data.stage.values.tolist() if "stage" in data.said.dims else [""]
    return [
        RivalScores(f"edited at {spell_stage(stage)}" if stage else "", shares)
        for stage in stages
        if (shares := list(_score_all(reading, stage)))
    ]


def _score_all(reading: RivalReading, stage: str) -> Iterator[tuple[str, str]]:
    """The share of every explanation that predicts a word, with its interval and trials, in words."""
    for name in EXPLANATIONS:
        found = reading.explained(name, stage)
        if found.value is not None:
            yield name, _spell(found)


def _spell(found: Estimate) -> str:
    low, high = found.interval(0.95)
    return f"{number(found.value or 0)} [{number(low)}, {number(high)}] of {found.n} trials"
