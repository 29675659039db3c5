"""Everything that --scorecard DIR writes beside scorecard.json: JUnit, figures, page."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import xarray as xr

from harness.reporting import figures, junit, page
from harness.reporting.scorecard import Scorecard


class Measurements(Protocol):
    """Where the measurements behind the records are found by their key."""

    def get(self, key: str) -> xr.Dataset | None:
        """The measurement, or None."""


DRAWN = {
    "components": figures.component_planes,
    "similarity": figures.similarity_curves,
    "mediation": figures.mediation_maps,
}


def write_pages(scorecard: Scorecard, measurements: Measurements, folder: Path) -> None:
    """Write scorecard.xml, the figures of every measurement judged, and index.html."""
    junit.write(scorecard, folder / "scorecard.xml")
    behind: dict[tuple[str, str], str] = {}
    drawn = []
    for record in scorecard.records:
        if record.measurement is None:
            continue
        dataset = measurements.get(record.measurement)
        if dataset is None:
            continue
        behind.setdefault((record.subject, dataset.attrs["experiment"]), record.measurement)
    for experiment, draw in DRAWN.items():
        for (subject, name), key in behind.items():
            if name == experiment:
                picture = draw(measurements.get(key), subject, folder / "figures")
                drawn.append(picture._replace(filename=f"figures/{picture.filename}"))
    page.write(scorecard, drawn, folder / "index.html")
