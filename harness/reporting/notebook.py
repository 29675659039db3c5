"""Show what a notebook is given: as text, as HTML, or as a drawing. Whatever it holds is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import xarray as xr

from harness.judging.record import Record
from harness.machine.files import write_bytes
from harness.reporting.drawing import DRAWN
from harness.reporting.wording import (
    WORDS,
    limit,
    measured,
    number,
    plain,
    shorten,
    spell_sample,
)

LONGEST = 600
"""Most characters of a cell; the whole text is an attribute of the object."""


@dataclass(frozen=True)
class Drawing:
    """A figure of a measurement, which a notebook shows by itself.

    Attributes:
        title: Subject and what is drawn.
        caption: What the figure shows, in a sentence.
        svg: The figure.
    """

    title: str
    caption: str
    svg: str = field(repr=False)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the figure as an SVG file; OSError if the disk refuses."""
        write_bytes(path, self.svg.encode())


def draw(data: xr.Dataset, subject: str) -> Drawing:
    """Draw a measurement as the page of a scorecard shows it.

    Args:
        data: A measurement; its attribute `experiment` says of what.
        subject: The subject's name.

    Raises:
        LookupError: No figure is made of that experiment, and the message lists those of which one is; or the
            measurement has nothing to draw.
    """
    # On a user's photographs the name is "<experiment> on <photographs>".
    experiment = data.attrs["experiment"].partition(" on ")[0]
    if experiment not in DRAWN:
        raise LookupError(
            f"no figure is made of {experiment}; there are some of {', '.join(DRAWN)}"
        )
    with TemporaryDirectory() as folder:
        picture = DRAWN[experiment](data, subject, Path(folder))
        if picture is None:
            raise LookupError(
                f"{experiment} of {subject} has nothing to draw: the experiment did not apply"
            )
        svg = (Path(folder) / picture.filename).read_text(encoding="utf-8")
    return Drawing(picture.title, picture.caption, svg)


def describe_record(record: Record) -> dict[str, str]:
    """What a verdict rests on, in words, by what it is."""
    told = {
        "verdict": WORDS[record.verdict],
        "claim": record.statement,
        "subject": record.subject,
        "measured": f"{measured(record)} {record.unit}" if record.estimate is not None else "",
        "claimed": f"{limit(record)} ({record.threshold_origin.partition(':')[0]})",
        "published": "" if record.published is None else number(record.published),
        "rests on": spell_sample(record) if record.n else "",
        "reason": record.reason,
        "source": record.source,
    }
    return {name: shorten(text, LONGEST) for name, text in told.items() if text}


def to_text(title: str, facts: Mapping[str, str]) -> str:
    """Facts as lines under a title, for `repr`."""
    column = max(map(len, facts), default=0) + 2
    lines = [f"  {name.ljust(column)}{shorten(text, LONGEST)}" for name, text in facts.items()]
    return "\n".join([shorten(title, LONGEST), *lines])


def to_html(title: str, facts: Mapping[str, str]) -> str:
    """Facts as a table under a title, for `_repr_html_`."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{_escape(name)}</th>"
        f"<td style='text-align:left'>{_escape(text)}</td></tr>"
        for name, text in facts.items()
    )
    return f"<div><strong>{_escape(title)}</strong><table>{rows}</table></div>"


def _escape(text: str) -> str:
    return escape(plain(shorten(text, LONGEST)))
