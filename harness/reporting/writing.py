"""Everything that --scorecard DIR writes beside scorecard.json: JUnit, figures, page."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import xarray as xr

from harness.judging import published
from harness.reporting import figures, interventions, junit, page
from harness.reporting.error_rates import Content
from harness.reporting.scorecard import Scorecard


class Measurements(Protocol):
    """Where the measurements behind the records are found by their key."""

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement, or None."""


PAIRS = ("position@mentions", "position@last", "features@last")


def write_pages(
    scorecard: Scorecard,
    measurements: Measurements,
    folder: Path,
    calibration: Content | None = None,
) -> None:
    """Write scorecard.xml, the figures of every measurement judged, and index.html."""
    junit.write(scorecard, folder / "scorecard.xml")
    keys = dict.fromkeys((r.subject, r.measurement) for r in scorecard.records if r.measurement)
    behind = [
        (subject, data) for subject, key in keys if (data := measurements.get(key)) is not None
    ]
    pictures = []
    for experiment, draw in DRAWN.items():
        for subject, data in behind:
            # On a user's photographs the experiment's name goes on with what they are.
            if data.attrs["experiment"].partition(" on ")[0] == experiment:
                picture = draw(data, subject, folder / "figures")
                pictures.append(picture._replace(filename=f"figures/{picture.filename}"))
    page.write(scorecard, pictures, folder / "index.html", calibration)


def _curves(data: xr.Dataset, subject: str, folder: Path) -> figures.Picture:
    """RSA curves, with the paper's own where it shows this subject."""
    paper = published.load()
    shown = {pair: curve for pair in PAIRS if (curve := paper.curve(subject, pair)) is not None}
    return figures.similarity_curves(data, subject, folder, shown)


def _blocks(data: xr.Dataset, subject: str, folder: Path) -> figures.Picture:
    """Curves of relative and absolute positions, with the paper's own where it shows this subject."""
    paper = published.load()
    pairs = {
        "relative": "relative@last",
        "absolute": "absolute@last",
        "features": "block_features@last",
    }
    shown = {c: curve for c, p in pairs.items() if (curve := paper.curve(subject, p)) is not None}
    return interventions.block_curves(data, subject, folder, shown)


DRAWN = {
    "components": figures.component_planes,
    "similarity": _curves,
    "mediation": figures.mediation_maps,
    "blocks": _blocks,
    "steering": interventions.steering_sweeps,
    "steering_drawn": interventions.steering_sweeps,
}
