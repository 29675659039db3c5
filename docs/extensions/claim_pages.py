"""Write every claim of a paper as a page: statement, source, threshold, what the controls give, and a figure.

The figure shows what the committed baselines measured on the embedded subjects, and what the paper reports.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from harness.judging.claim import Claim
from harness.judging.controls import read_expected
from harness.judging.record import Record
from harness.machine.files import REPORTS
from harness.reporting.claim_figure import draw_claim
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import section
from harness.runs.claim_functions import load_claims

Pairs = dict[str, list[Record]]


def describe_claims(paper: str, page: Path, drawn: Path) -> str:
    """All claims of a paper in Markdown, by section.

    Args:
        paper: The first part of the claims' ids.
        page: The page that will hold the text.
        drawn: Folder for the figures.

    Raises:
        ValueError: The paper has no claims.
    """
    claims = [claim for claim, _ in load_claims().values() if claim.paper == paper]
    if not claims:
        raise ValueError(f"{page}: there is no claim of {paper!r}")
    records = _read_baselines()
    controls = _gather_controls()
    parts = []
    for name, members in groupby(claims, lambda claim: section(claim.id)):
        parts.append(f"## {name}\n")
        for claim in members:
            parts += _describe(claim, records.get(claim.id, []), controls, page, drawn)
    return "\n".join(parts)


def _describe(
    claim: Claim,
    records: Sequence[Record],
    controls: dict[str, dict[str, list[str]]],
    page: Path,
    drawn: Path,
) -> Iterator[str]:
    threshold = claim.threshold
    yield f"### {claim.id.rpartition('.')[2].replace('_', ' ')}\n"
    yield f"{claim.statement}\n"
    yield f"- id: `{claim.id}`\n- source: {claim.source}"
    note = f": {threshold.note}" if threshold.note else ""
    yield f"- claimed: {threshold.direction} {threshold.value:g} {threshold.unit} ({threshold.origin}{note})"
    if threshold.exceptions:
        told = ", ".join(f"{name} {value:g}" for name, value in threshold.exceptions.items())
        yield f"- other thresholds: {told}"
    if claim.published:
        told = ", ".join(f"{name} {value:g}" for name, value in claim.published.items())
        yield f"- published: {told}"
    for verdict, names in controls.get(claim.id, {}).items():
        yield f"- must be {verdict.replace('_', ' ')} on: {', '.join(names)}"
    yield ""
    shown = [r for r in records if r.estimate is not None]
    if shown or claim.published:
        picture = draw_claim(claim, shown, drawn)
        path = os.path.relpath(drawn / picture.filename, page.parent).replace(os.sep, "/")
        yield f"![{picture.caption}]({path})\n"


def _read_baselines() -> Pairs:
    found: Pairs = {}
    for path in sorted((REPORTS / "baselines").glob("*.json")):
        for record in Scorecard.from_json(json.loads(path.read_text(encoding="utf-8"))).records:
            found.setdefault(record.claim, []).append(record)
    return found


def _gather_controls() -> dict[str, dict[str, list[str]]]:
    """By claim and verdict, the controls that must give it."""
    found: dict[str, dict[str, list[str]]] = {}
    for (claim, control), cell in read_expected().items():
        found.setdefault(claim, {}).setdefault(str(cell.verdict), []).append(control)
    return found
