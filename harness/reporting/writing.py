"""Write everything that --scorecard DIR holds beside scorecard.json: JUnit, figures, page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import xarray as xr

from harness.reporting import junit, page
from harness.reporting.drawing import STORY, Album, Score
from harness.reporting.error_rates import Content
from harness.reporting.moved import StageMove
from harness.reporting.scenes import read_trials
from harness.reporting.scorecard import Scorecard
from harness.reporting.story import tell_story


class Measurements(Protocol):
    """Finds the measurements behind the records by their key."""

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement of a key, or None if there is none."""


def write_pages(
    scorecard: Scorecard,
    measurements: Measurements,
    folder: Path,
    calibration: Content | None = None,
    alarms: str = "",
    flavour: junit.Flavour = "pytest",
    stages: Sequence[StageMove] = (),
    score: Score = lambda data: (),
    cache: Path | None = None,
) -> None:
    """Write scorecard.xml, and index.html with a figure for every measurement that was judged.

    Args:
        scorecard: What to write.
        measurements: Where the measurements are; where one is gone, the page says so.
        folder: Where the files go.
        calibration: How often the suite is wrong, from `harness.reporting.error_rates.read_calibration`.
        alarms: How often the gate is wrong, in words; "" where the run passes no gate.
        flavour: Of the JUnit file.
        stages: What became of the heads of each stage against the baseline; empty without one.
        score: Scores the rival explanations of a measurement.
        cache: Where figures are kept for other pages, too; by default beside the page's own.
    """
    album = Album(folder / "figures", cache)
    found: list[page.Measured] = []
    told: dict[str, dict[str, str]] = {}
    for subject, key in dict.fromkeys(
        (r.subject, r.measurement) for r in scorecard.records if r.measurement
    ):
        shown = album.show(subject, key, partial(measurements.get, key), score)
        if shown is None:
            continue
        if shown.experiment in STORY:
            told.setdefault(subject, {})[shown.experiment] = key
        trials = read_trials(shown.examples)
        found.append(page.Measured(len(found), subject, key, shown, trials))
    drawn = {
        (each.subject, each.key): [f"{album.folder}/{each.shown.picture.filename}"]
        for each in found
        if each.shown.picture is not None
    }
    attached = {
        (r.claim, r.subject): drawn.get((r.subject, r.measurement or ""), [])
        for r in scorecard.records
    }
    junit.write(scorecard, folder / "scorecard.xml", flavour, attached)
    stories = [
        page.Story(
            s, tell_story(scorecard, s), album.draw_story(s, told.get(s, {}), measurements.get)
        )
        for s in scorecard.subjects
    ]
    page.write(
        scorecard,
        folder / "index.html",
        measurements=found,
        stories=stories,
        figures=album.folder,
        calibration=calibration,
        alarms=alarms,
        stages=stages,
    )
