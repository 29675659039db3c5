"""Write everything that --scorecard DIR holds beside scorecard.json: JUnit, figures, page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import xarray as xr

from harness.reporting import junit, page
from harness.reporting.drawing import STORY, Album
from harness.reporting.error_rates import Content
from harness.reporting.moved import StageMove
from harness.reporting.scenes import read_trials
from harness.reporting.scorecard import Scorecard
from harness.reporting.story import tell_story


class Measurements(Protocol):
    """Finds the measurements behind the records by their key."""

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement of a key, or None if there is none."""


Score = Callable[[xr.Dataset], Sequence[page.RivalScores]]
"""Scores the rival explanations of a measurement; none if it has none."""

HIDDEN = ("examples",)
"""Attributes of a measurement that say nothing of how it was made."""


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
    junit.write(scorecard, folder / "scorecard.xml", flavour)
    album = Album(folder / "figures", cache)
    shown: list[page.Measured] = []
    parts: dict[str, dict[str, tuple[str, xr.Dataset]]] = {}
    for subject, key in dict.fromkeys(
        (r.subject, r.measurement) for r in scorecard.records if r.measurement
    ):
        data = measurements.get(key)
        if data is None:
            continue
        name = str(data.attrs["experiment"])
        # On a user's photographs the name is "<experiment> on <photographs>".
        experiment = name.partition(" on ")[0]
        if name in STORY:
            parts.setdefault(subject, {})[name] = (key, data)
        shown.append(
            page.Measured(
                len(shown),
                subject,
                name,
                key,
                album.draw(experiment, data, key, subject),
                read_trials(data),
                score(data),
                [(n, str(v)) for n, v in data.attrs.items() if n not in HIDDEN and v != ""],
            )
        )
    stories = [
        page.Story(s, tell_story(scorecard, s), album.draw_story(parts.get(s, {}), s))
        for s in scorecard.subjects
    ]
    page.write(
        scorecard,
        folder / "index.html",
        measurements=shown,
        stories=stories,
        figures=album.folder,
        calibration=calibration,
        alarms=alarms,
        stages=stages,
    )
