"""Draw a badge that says how many claims a model supports, such as "binding 47/55 supported"."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NamedTuple

from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.reporting.highlights import REPRODUCTION
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import one_line, paper

NOT_ASKED = (Verdict.not_applicable, Verdict.not_run)
"""Verdicts on claims that were not asked, so that nothing could be supported. A subject that fails the task
(blocked), and an error, count as asked."""

LABEL = "binding"

_LEFT, _PLAIN, _RED = "#555", "#0b5a87", "#a82a1c"

_WIDTHS = {
    **dict.fromkeys("iljI.,:;'|!", 3.6),
    **dict.fromkeys("ftr()/ -[]", 4.6),
    **dict.fromkeys("mwMW%@", 10.5),
}
"""Widths in pixels of letters of a sans-serif type of 11 pixels that differ much from the usual one."""


class Tally(NamedTuple):
    """How many of a paper's own claims are supported, and how many were asked."""

    supported: int
    asked: int


def tally(card: Scorecard, subject: str) -> dict[str, Tally]:
    """Count for each paper how many of its claims a subject supports, in the order of the scorecard.

    Claims on a reproduction's deviations are left out: where one is supported, that says nothing of binding. A
    claim without a verdict counts as asked.
    """
    records, missing = card.by_pair, set(card.missing)
    own: dict[str, list[Record | None]] = {}
    for claim in card.claims:
        pair = (claim, subject)
        if paper(claim) != REPRODUCTION and (pair in records or pair in missing):
            own.setdefault(paper(claim), []).append(records.get(pair))
    return {
        name: Tally(
            sum(r is not None and r.verdict is Verdict.supported for r in found),
            sum(r is None or r.verdict not in NOT_ASKED for r in found),
        )
        for name, found in own.items()
    }


def describe(card: Scorecard, subject: str) -> str:
    """What stands on the badge of a subject, such as "47/55 supported"."""
    counted = tally(card, subject).values()
    said = f"{sum(c.supported for c in counted)}/{sum(c.asked for c in counted)} supported"
    return said + (" (partial run)" if card.run.partial else "")


def draw(card: Scorecard, subject: str) -> str:
    """Draw the badge of a subject as an SVG file of 20 pixels height; the same scorecard gives the same text.

    It is red where the run is, and never green: a count says how much was found, not whether that is enough.
    """
    said = describe(card, subject)
    color = _RED if card.red else _PLAIN
    left, right = _measure(LABEL) + 10, _measure(said) + 10
    name = f"{LABEL} of {one_line(subject)}: {said}"
    root = ET.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "width": str(left + right), "height": "20", "role": "img"},
    )  # fmt: skip
    root.set("aria-label", name)
    ET.SubElement(root, "title").text = name
    for x, width, fill, text in ((0, left, _LEFT, LABEL), (left, right, color, said)):
        ET.SubElement(root, "rect", x=str(x), width=str(width), height="20", fill=fill)
        place = {
            "x": str(x + 5),
            "y": "14",
            "fill": "#fff",
            "font-family": "Verdana,DejaVu Sans,sans-serif",
            "font-size": "11",
            # Whatever type is there, the text fills its place and no more.
            "textLength": str(width - 10),
        }
        ET.SubElement(root, "text", place).text = text
    return ET.tostring(root, encoding="unicode") + "\n"


def _measure(text: str) -> int:
    return round(sum(_WIDTHS.get(letter, 7.0) for letter in text))
