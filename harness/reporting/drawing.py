"""Make what is shown of every measurement once: what is drawn already is not drawn again.

A figure takes half a second and a measurement a tenth to load; a page of many subjects has a hundred of each,
and pages are written anew whenever somebody asks. So what is shown is kept under a name that follows from what
it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import xarray as xr

from harness.judging import published
from harness.machine.files import FIXTURES, read_json, write_bytes, write_json
from harness.reporting import curves, figures, interventions, shares, story
from harness.reporting.figures import Picture

Draw = Callable[[xr.Dataset, str, Path], Picture | None]
"""Draws a measurement of a subject, named by its name, into a folder; None if it has nothing to draw."""

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
    "keys": shares.draw_keys,
    "reuse": shares.draw_reuse,
}
"""How the measurement of an experiment is drawn, by the experiment's name."""

STORY = ("similarity", "mediation")
"""The experiments that the picture of the paper's story is drawn from."""


ROOMS = ("statistics", "measures", "readings", "reporting")
"""Rooms whose code decides what is shown of a measurement."""

EXAMPLES = "examples"
"""The attribute of a measurement that holds its first trials."""


class RivalScores(NamedTuple):
    """How often each explanation of the answers under one edit is right.

    Attributes:
        edited: What was edited, in words; "" if there is one edit.
        shares: (explanation, share with its interval and trials, in words).
    """

    edited: str
    shares: list[tuple[str, str]]


Score = Callable[[xr.Dataset], Sequence[RivalScores]]
"""Scores the rival explanations of a measurement; none if it has none."""


class Shown(NamedTuple):
    """What is shown of a measurement.

    Attributes:
        experiment: The experiment's name.
        picture: Its figure, if somebody draws this experiment.
        examples: Its first trials as JSON, see `harness.reporting.scenes`; "" if it keeps none.
        rivals: Scores of rival explanations, if it has any.
        facts: How it was measured, by name.
    """

    experiment: str
    picture: Picture | None
    examples: str
    rivals: list[RivalScores]
    facts: list[tuple[str, str]]


class Album:
    """Figures and numbers of measurements, each made once.

    Args:
        folder: Where the figures of this page go.
        cache: Where all of it is kept by what it was made from, also for other pages; by default beside the
            page's own figures.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder, self.cache = folder, cache or folder / ".drawn"
        self._code = _hash_rooms()

    def show(
        self, subject: str, key: str, load: Callable[[], xr.Dataset | None], score: Score
    ) -> Shown | None:
        """What is shown of a measurement; None if it is gone.

        Args:
            subject: The subject's name.
            key: Its key in the store.
            load: Loads it, if need be.
            score: Scores its rival explanations.
        """
        source = self._name(subject, key)
        kept = self._find(source)
        if kept is not None:
            return kept
        data = load()
        if data is None:
            return None
        name = str(data.attrs["experiment"])
        draw = _find_draw(data)
        facts = [(n, str(v)) for n, v in data.attrs.items() if n != EXAMPLES and v != ""]
        return self._keep(
            source,
            Shown(
                name,
                draw(data, subject, self.folder) if draw else None,
                str(data.attrs.get(EXAMPLES, "")),
                list(score(data)),
                facts,
            ),
        )

    def draw_story(
        self, subject: str, keys: Mapping[str, str], load: Callable[[str], xr.Dataset | None]
    ) -> Picture | None:
        """The picture of the paper's story; None if nothing that it shows is there.

        Args:
            subject: The subject's name.
            keys: Keys of the measurements in STORY, by their names, as far as they are known.
            load: Loads the measurement of a key, if need be.
        """
        source = self._name("story", subject, *keys, *keys.values())
        kept = self._find(source)
        if kept is not None:
            return kept.picture
        found = [load(keys[name]) if name in keys else None for name in STORY]
        if all(data is None for data in found):
            return None
        shown = find_published(subject, PAIRS)
        picture = story.draw_story(found[0], found[1], subject, self.folder, shown)
        return self._keep(source, Shown("story", picture, "", [], [])).picture

    def _name(self, *made_of: str) -> str:
        return hashlib.sha256("\n".join((self._code, *made_of)).encode()).hexdigest()[:24]

    def _find(self, source: str) -> Shown | None:
        """What is kept under a name, its figure put where those of this page are; None if it cannot be read."""
        try:
            name, picture, examples, rivals, facts = read_json(self.cache / f"{source}.json")
            drawn = None
            if picture is not None:
                drawn = Picture(*map(str, picture))
                # The name comes from a file, and must not lead out of the folder.
                drawn = drawn._replace(filename=Path(drawn.filename).name)
                content = (self.cache / f"{source}.svg").read_bytes()
                write_bytes(self.folder / drawn.filename, content)
            scores = [RivalScores(str(e), [(str(n), str(s)) for n, s in of]) for e, of in rivals]
            told = [(str(n), str(v)) for n, v in facts]
            return Shown(str(name), drawn, str(examples), scores, told)
        except (OSError, ValueError, TypeError):
            # It is made again, which costs time and nothing else.
            return None

    def _keep(self, source: str, shown: Shown) -> Shown:
        try:
            if shown.picture is not None:
                content = (self.folder / shown.picture.filename).read_bytes()
                write_bytes(self.cache / f"{source}.svg", content)
            # Last, since it says that the figure is there.
            write_json(self.cache / f"{source}.json", shown)
        except OSError:
            # A store that cannot be written is no reason to have no page.
            pass
        return shown


def _find_draw(data: xr.Dataset) -> Draw | None:
    """How a measurement is drawn; None if nobody draws its experiment."""
    # On a user's photographs the name is "<experiment> on <photographs>".
    return DRAWN.get(str(data.attrs["experiment"]).partition(" on ")[0])


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
            draws = ((_find_draw(data), data) for _, data in parts.values())
            drawn = [draw(data, subject, folder) for draw, data in draws if draw is not None]
            found += [picture for picture in drawn if picture is not None]
    return found


def _hash_rooms() -> str:
    """Hash of what decides how a measurement is shown: code, matplotlib, and the published numbers."""
    found = hashlib.sha256(matplotlib.__version__.encode())
    here = Path(__file__).resolve().parents[1]
    files = [file for room in ROOMS for file in sorted((here / room).rglob("*.py"))]
    for file in (*files, *sorted((FIXTURES / "published").glob("*"))):
        found.update(file.read_bytes())
    return found.hexdigest()
