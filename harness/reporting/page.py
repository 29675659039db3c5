"""Write a scorecard as one HTML page: one file that opens from disk and asks the network for nothing.

Figures and images are in the file. All of it can be read without the page's script, which only opens claims in
place, filters them, and draws images when they are looked at.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.judging.controls import read_expected
from harness.machine.files import write_bytes
from harness.reporting import deviations
from harness.reporting.claim_rows import group_claims
from harness.reporting.drawing import Shown
from harness.reporting.error_rates import Content, summarize_error_rates
from harness.reporting.figures import Picture
from harness.reporting.forest import LEFT, RIGHT, WIDTH
from harness.reporting.limits import LIMITS
from harness.reporting.moved import StageMove
from harness.reporting.moved_text import stages_to_rows
from harness.reporting.scenes import ShownTrial
from harness.reporting.scorecard import Scorecard
from harness.reporting.story import tell_story
from harness.reporting.wording import (
    MEANINGS,
    MISSING,
    WORDS,
    count_verdicts,
    describe_asked,
    describe_run,
    measured,
    number,
    plain,
    spell_count,
)

SIGNS = {
    "supported": "\u25cf",
    "refuted": "\u2715",
    "inconclusive": "\u25d0",
    "not_applicable": "\u2013",
    "blocked": "\u2298",
    "not_run": "\u25cb",
    "error": "!",
    MISSING: "?",
}
"""The sign of a verdict, so that no color is needed to tell it."""

FEW = 4
"""Subjects up to which the table has words and numbers beside the signs."""

TEMPLATES = Path(__file__).parent
"""Where templates and the script of the page are."""

LONG = 400
"""Characters of a reason that are shown before it is opened."""


class Measured(NamedTuple):
    """One measurement on the page.

    Attributes:
        number: By which claims refer to it.
        subject: The subject's name.
        key: Its key in the store.
        shown: What is shown of it; the file of its figure is in the folder of figures.
        trials: Its first trials, if it keeps any.
    """

    number: int
    subject: str
    key: str
    shown: Shown
    trials: Sequence[ShownTrial] = ()


class Story(NamedTuple):
    """The paper's story of one subject: a sentence and a picture, each if there is one."""

    subject: str
    sentence: str
    picture: Picture | None


def write(
    scorecard: Scorecard,
    path: str | Path,
    *,
    measurements: Sequence[Measured] = (),
    stories: Sequence[Story] = (),
    figures: str | Path = ".",
    calibration: Content | None = None,
    alarms: str = "",
    stages: Sequence[StageMove] = (),
) -> None:
    """Write the page of a scorecard, index.html.

    Args:
        scorecard: What to show.
        path: The file; one of that name is replaced.
        measurements: What the records rest on.
        stories: The picture of each subject's stages; a subject without one has a sentence.
        figures: The folder of the files of all pictures.
        calibration: How often the suite is wrong, from `harness.reporting.error_rates.read_calibration`.
        alarms: How often the gate is wrong, in words; "" where the run passes no gate.
        stages: What became of the heads of each stage against the baseline; empty without one.

    Raises:
        OSError: A picture is not there, or the page cannot be written.
    """
    write_bytes(
        path,
        render(
            "page.html.jinja",
            Path(figures),
            _fill_page(scorecard, measurements, stories),
            stages=stages_to_rows(stages),
            alarms=alarms,
            **_fill_calibration(calibration, scorecard),
        ).encode(),
    )


def render(template: str, figures: Path, *parts: dict[str, Any], **more: Any) -> str:
    """Fill one of the templates of this folder: everything that is printed is escaped, and made `plain` before.

    Args:
        template: Its file.
        figures: The folder of the files that `embed` puts into the page.
        parts: Values by name.
        more: Values by name.
    """
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values: dict[str, Any] = {
        "words": WORDS,
        "meanings": MEANINGS,
        "signs": SIGNS,
        "number": number,
        "measured": measured,
        # The browser runs the script of this hash and no other, wherever it may have come from.
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
        "embed": lambda name: _embed(figures / name),
    }
    for part in parts:
        values |= part
    return _environment().get_template(template).render(values | more)


@cache
def _environment() -> Environment:
    """Where templates come from; they are compiled once."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every printed value goes through this before it is escaped.
        finalize=lambda value: plain(value) if type(value) is str else value,
    )


def _embed(file: Path) -> str:
    """An SVG file as a data URI."""
    return "data:image/svg+xml;base64," + base64.b64encode(file.read_bytes()).decode()


def _fill_page(
    card: Scorecard, measurements: Sequence[Measured], stories: Sequence[Story]
) -> dict[str, Any]:
    standings = card.standings()
    drawn = {story.subject: story for story in stories}
    numbers = {(m.subject, m.key): m.number for m in measurements}
    parts = group_claims(card, standings, read_expected(), numbers)
    verdicts = [str(r.verdict) for r in card.records] + [MISSING] * len(card.missing)
    families = {r.subject: r.family for r in card.records}
    return {
        "title": "Scorecard of " + list_names(card.subjects),
        "summary": _summarize(card),
        "card": card,
        "run": card.run,
        "asked": describe_asked(card.run.subjects),
        "parts": parts,
        "few": len(card.subjects) <= FEW,
        "families": families,
        "stories": [drawn.get(s, Story(s, tell_story(card, s), None)) for s in card.subjects],
        "counts": list(count_verdicts(verdicts).items()),
        "bars": [(s, list(_count_of(card, s).items())) for s in card.subjects],
        "changes": [
            (r, standings[r.claim, r.subject])
            for r in card.records
            if standings[r.claim, r.subject].change not in ("", "same")
        ],
        "compared": _summarize_changes([s.change for s in standings.values()]),
        "measurements": measurements,
        "axis": (WIDTH, LEFT, RIGHT),
        "long": LONG,
        "deviations": deviations.table(card),
        "explains": deviations.WORDS,
        "facts": [
            (name.replace("_", " "), "not recorded" if value is None else value)
            for name, value in describe_run(card.run).items()
        ],
        "limits": LIMITS,
    }


def _fill_calibration(content: Content | None, card: Scorecard) -> dict[str, Any]:
    told: dict[str, Any] = {
        "calibration": content,
        "calibrated": summarize_error_rates(content, card),
    }
    if content is None:
        return told
    verdicts: dict[str, dict[str, str]] = {}
    for row in content["table"]:
        verdicts.setdefault(row["claim"], {})[row["control"]] = row["verdict"]
    controls = list(dict.fromkeys(row["control"] for row in content["table"]))
    return told | {"controls": controls, "on_controls": verdicts}


def _count_of(card: Scorecard, subject: str) -> dict[str, int]:
    """How many verdicts of each kind a subject has, in the order in which they are listed everywhere."""
    lost = sum(s == subject for _, s in card.missing)
    return count_verdicts(
        [str(r.verdict) for r in card.records if r.subject == subject] + [MISSING] * lost
    )


def _summarize(card: Scorecard) -> str:
    claims, subjects = (
        spell_count(len(card.claims), "claim"),
        spell_count(len(card.subjects), "subject"),
    )
    return f"{claims} judged on {subjects}"


def _summarize_changes(changes: Sequence[str]) -> str:
    """What changed against the baseline, in a few words; "" if no verdict is like or unlike a baseline's."""
    kinds = {
        "regressed": "regressed",
        "wrong": "not what a control must give",
        "improved": "improved",
        "changed": "changed otherwise",
        "new": "not in the baseline",
        "same": "as before",
    }
    return ", ".join(
        f"{changes.count(kind)} {told}" for kind, told in kinds.items() if kind in changes
    )


def list_names(names: Sequence[str]) -> str:
    """Names in words; more than three are counted."""
    if len(names) > 3:
        return f"{len(names)} subjects"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:]))) or "no subjects"
