"""Draw a figure for every measurement that has one, once: what is drawn already is not drawn again.

A figure takes half a second, a page of many subjects has a hundred of them, and pages are written anew whenever
somebody asks. So figures are kept under a name that follows from what they were drawn from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib
import xarray as xr

from harness.judging import published
from harness.machine.files import FIXTURES, read_json, write_bytes, write_json
from harness.reporting import curves, figures, interventions, story
from harness.reporting.figures import Picture

Draw = Callable[[xr.Dataset, str, Path], Picture]
"""Draws the measurement of a subject, named by its name, into a folder."""

PAIRS = {
    "position@separator": "position@mentions",
    "position@last": "position@last",
    "features@last": "features@last",
}
"""By pair of a code and a token, the name of the paper's RSA curve, which reads mentions at commas."""

BLOCKS = {
    "relative": "relative@last",
    "absolute": "absolute@last",
    "features": "block_features@last",
}
"""By code, the name of the paper's RSA curve of blocks of four."""


def find_published(subject: str, names: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    """The paper's curves of a subject, by the keys of `names`, as far as it shows them."""
    paper = published.load()
    found = {key: paper.curve(subject, name) for key, name in names.items()}
    return {key: curve for key, curve in found.items() if curve is not None}


def _draw_curves(data: xr.Dataset, subject: str, folder: Path) -> Picture:
    """Draw RSA curves, with the paper's own where it shows this subject."""
    return curves.draw_similarity(data, subject, folder, find_published(subject, PAIRS))


def _draw_blocks(data: xr.Dataset, subject: str, folder: Path) -> Picture:
    """Draw curves of relative and absolute positions, with the paper's own where it shows this subject."""
    return interventions.draw_blocks(data, subject, folder, find_published(subject, BLOCKS))


DRAWN: dict[str, Draw] = {
    "components": figures.draw_components,
    "similarity": _draw_curves,
    "mediation": figures.draw_mediation,
    "blocks": _draw_blocks,
    "steering": interventions.draw_steering,
    "steering_drawn": interventions.draw_steering,
}
"""How the measurement of an experiment is drawn, by the experiment's name."""

STORY = ("similarity", "mediation")
"""The experiments that the picture of the paper's story is drawn from."""


class Album:
    """The figures of a page, each drawn once from the measurements that it shows.

    Args:
        folder: Where the figures of this page go.
        cache: Where figures are kept by what they were drawn from, also for other pages; by default beside
            the page's own.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder, self.cache, self.drawn = folder, cache or folder / ".drawn", 0
        self._code = _hash_drawing()

    def draw(self, experiment: str, data: xr.Dataset, key: str, subject: str) -> Picture | None:
        """The figure of a measurement; None if nobody draws this experiment.

        Args:
            experiment: Its name.
            data: The measurement.
            key: Its key in the store.
            subject: The subject's name.
        """
        draw = DRAWN.get(experiment)
        if draw is None:
            return None
        return self._once(lambda: draw(data, subject, self.folder), experiment, subject, key)

    def draw_story(
        self, parts: Mapping[str, tuple[str, xr.Dataset]], subject: str
    ) -> Picture | None:
        """The picture of the paper's story; None if nothing that it shows was measured.

        Args:
            parts: Key and measurement of the experiments in STORY, as far as they are there.
            subject: The subject's name.
        """
        found = {name: parts[name] for name in STORY if name in parts}
        if not found:
            return None
        similarity, mediation = (found[name][1] if name in found else None for name in STORY)
        return self._once(
            lambda: story.draw_story(
                similarity, mediation, subject, self.folder, find_published(subject, PAIRS)
            ),
            "story",
            subject,
            *(key for key, _ in found.values()),
        )

    def _once(self, draw: Callable[[], Picture], *made_of: str) -> Picture:
        """Draw a figure, unless one drawn from the same by the same code is kept."""
        source = hashlib.sha256("\n".join((self._code, *made_of)).encode()).hexdigest()[:24]
        note, kept = self.cache / f"{source}.json", self.cache / f"{source}.svg"
        picture = _read_picture(note)
        if picture is None or not kept.is_file():
            picture = draw()
            self.drawn += 1
            write_bytes(kept, (self.folder / picture.filename).read_bytes())
            # Last, since it says that the figure is there.
            write_json(note, list(picture))
        else:
            write_bytes(self.folder / picture.filename, kept.read_bytes())
        return picture


def _read_picture(note: Path) -> Picture | None:
    """What is known of a figure that is kept; None if it is not, or if that cannot be read."""
    try:
        title, caption, filename = read_json(note)
    except (OSError, ValueError, TypeError):
        # It is drawn again, which costs time and nothing else.
        return None
    return Picture(str(title), str(caption), Path(str(filename)).name)


def draw_gallery(measurements: Mapping[str, xr.Dataset], folder: Path) -> list[Picture]:
    """Draw every figure of some measurements as SVG and PNG, and the story of each subject before its others.

    Args:
        measurements: By their keys; those that nobody draws are left out.
        folder: Where the files go.
    """
    found: list[Picture] = []
    by_subject: dict[str, dict[str, tuple[str, xr.Dataset]]] = {}
    for key, data in measurements.items():
        by_subject.setdefault(str(data.attrs["subject"]), {})[str(data.attrs["experiment"])] = (
            key,
            data,
        )
    with figures.drawing_also("png"):
        for subject, parts in by_subject.items():
            story_of = {n: data for n, (_, data) in parts.items() if n in STORY}
            if story_of:
                similarity, mediation = (story_of.get(name) for name in STORY)
                shown = find_published(subject, PAIRS)
                found.append(story.draw_story(similarity, mediation, subject, folder, shown))
            found += [
                DRAWN[name](data, subject, folder)
                for name, (_, data) in parts.items()
                if name in DRAWN
            ]
    return found


def _hash_drawing() -> str:
    """Hash of what decides how a measurement is drawn: this code, matplotlib, and the published numbers."""
    modules = (curves, figures, interventions, story)
    files = [Path(str(m.__file__)) for m in modules] + sorted((FIXTURES / "published").glob("*"))
    found = hashlib.sha256(matplotlib.__version__.encode())
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()
