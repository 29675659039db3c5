"""Write everything that --scorecard DIR holds beside scorecard.json: JUnit, figures, page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import xarray as xr

from harness.judging import published
from harness.reporting import curves, figures, interventions, junit, page
from harness.reporting.error_rates import Content
from harness.reporting.moved import StageMove
from harness.reporting.scorecard import Scorecard


class Measurements(Protocol):
    """Finds the measurements behind the records by their key."""

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement of a key, or None if there is none."""


Draw = Callable[[xr.Dataset, str, Path], figures.Picture]
"""Draws the measurement of a subject, named by its name, into a folder."""

PAIRS = {
    "position@separator": "position@mentions",
    "position@last": "position@last",
    "features@last": "features@last",
}
"""By pair of a code and a token, the name of the paper's RSA curve, which reads mentions at commas."""


def write_pages(
    scorecard: Scorecard,
    measurements: Measurements,
    folder: Path,
    calibration: Content | None = None,
    alarms: str = "",
    flavour: junit.Flavour = "pytest",
    stages: Sequence[StageMove] = (),
) -> None:
    """Write scorecard.xml, a figure for every measurement that was judged, and index.html.

    Args:
        scorecard: What to write.
        measurements: Where the measurements are; a figure is left out where one is gone.
        folder: Where the files go.
        calibration: How often the suite is wrong, from `harness.reporting.error_rates.read_calibration`.
        alarms: How often the gate is wrong, in words; "" where the run passes no gate.
        flavour: Of the JUnit file.
        stages: What became of the heads of each stage against the baseline; empty without one.
    """
    keys = dict.fromkeys((r.subject, r.measurement) for r in scorecard.records if r.measurement)
    behind = [
        (subject, key, data) for subject, key in keys if (data := measurements.get(key)) is not None
    ]
    pictures = []
    drawn: dict[tuple[str, str | None], list[str]] = {}
    for experiment, draw in DRAWN.items():
        for subject, key, data in behind:
            # On a user's photographs the name is "<experiment> on <photographs>".
            if data.attrs["experiment"].partition(" on ")[0] == experiment:
                picture = draw(data, subject, folder / "figures")
                pictures.append(picture._replace(filename=f"figures/{picture.filename}"))
                drawn.setdefault((subject, key), []).append(f"{folder}/figures/{picture.filename}")
    attached = {
        (r.claim, r.subject): drawn.get((r.subject, r.measurement), []) for r in scorecard.records
    }
    junit.write(scorecard, folder / "scorecard.xml", flavour, attached)
    page.write(scorecard, pictures, folder / "index.html", calibration, alarms, stages)


def _draw_curves(data: xr.Dataset, subject: str, folder: Path) -> figures.Picture:
    """Draw RSA curves, with the paper's own where it shows this subject."""
    paper = published.load()
    shown = {
        p: curve for p, name in PAIRS.items() if (curve := paper.curve(subject, name)) is not None
    }
    return curves.draw_similarity(data, subject, folder, shown)


def _draw_blocks(data: xr.Dataset, subject: str, folder: Path) -> figures.Picture:
    """Draw curves of relative and absolute positions, with the paper's own where it shows this subject."""
    paper = published.load()
    pairs = {
        "relative": "relative@last",
        "absolute": "absolute@last",
        "features": "block_features@last",
    }
    shown = {c: curve for c, p in pairs.items() if (curve := paper.curve(subject, p)) is not None}
    return interventions.draw_blocks(data, subject, folder, shown)


DRAWN: dict[str, Draw] = {
    "components": figures.draw_components,
    "similarity": _draw_curves,
    "mediation": figures.draw_mediation,
    "blocks": _draw_blocks,
    "steering": interventions.draw_steering,
    "steering_drawn": interventions.draw_steering,
}
"""How the measurement of an experiment is drawn, by the experiment's name."""
