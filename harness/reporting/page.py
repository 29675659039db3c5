"""Write a scorecard as one HTML page that opens from a folder, without a network and without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.machine.files import write_bytes
from harness.reporting import deviations, forest
from harness.reporting.error_rates import Content, summarize_error_rates
from harness.reporting.moved import StageMove
from harness.reporting.moved_text import stages_to_rows
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import (
    MEANINGS,
    MISSING,
    WORDS,
    count_verdicts,
    describe_asked,
    describe_run,
    limit,
    measured,
    number,
    plain,
    section,
    spell_count,
)

LIMITS = (
    (
        "Other images.",
        "The scenes are drawn shapes on a grid, or solids on textured ground, named in a fixed form of "
        "words. A mechanism "
        "found here may not be what the subject uses on photographs or in conversation, and one "
        "that is not found here may be.",
    ),
    (
        "Presence is not use.",
        "Similarity and principal components show what can be read from activations, not that "
        "later layers read it. Only patching intervenes, and then one head at a time: heads "
        "that stand in for each other go unseen.",
    ),
    (
        "Only where the task is done.",
        "Mediation is measured on trials that the subject answers right on both sides, and "
        "describes those trials.",
    ),
    (
        "Refuted is about this threshold.",
        "Thresholds that a paper does not state are read off a figure or chosen by us, and each "
        "says which. An estimate near its threshold is better read as a number than as a word.",
    ),
    (
        "Inconclusive is about the run.",
        "It says that the interval is too wide or the correction too strict, not that the "
        "effect is small. More trials can settle it; blocked and n/a they do not.",
    ),
    (
        "Two subjects.",
        "Where one is supported and the other is not, the two may still not differ: their "
        "intervals can overlap. No verdict on this page compares subjects.",
    ),
    (
        "Published values.",
        "They come from other images, other prompts or another checkpoint, are often read off a "
        "plot, and have no interval. They stand beside a verdict and never decide it.",
    ),
    (
        "Some will be wrong.",
        "The correction holds within one subject and one paper, where up to one in forty "
        "supported claims is expected to be false. Over many subjects, papers and repeated "
        "runs, false verdicts add up.",
    ),
    (
        "What intervals leave out.",
        "They cover the choice of scenes, not the choice of words, the style of the images or "
        "the numerical precision.",
    ),
)
"""What a reader of the page must not conclude: a title and a text each."""


class ClaimRows(NamedTuple):
    """One claim with its records; thresholds are (text, origin, subjects), no subjects meaning all of them."""

    id: str
    statement: str
    records: list[Record]
    thresholds: list[tuple[str, str, list[str]]]


def write(
    scorecard: Scorecard,
    figures: Iterable[tuple[str, str, str]],
    path: str | Path,
    calibration: Content | None = None,
    alarms: str = "",
    stages: Sequence[StageMove] = (),
) -> None:
    """Write the page of a scorecard, index.html.

    Args:
        scorecard: What to show.
        figures: Title, caption and path of each image; the path is relative to the page, with forward slashes.
        path: The file; one of that name is replaced.
        calibration: How often the suite is wrong, from `harness.reporting.error_rates.read_calibration`.
        alarms: How often the gate is wrong, in words; "" where the run passes no gate.
        stages: What became of the heads of each stage against the baseline; empty without one.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every printed value goes through this before it is escaped.
        finalize=lambda value: plain(value) if type(value) is str else value,
    )
    page = environment.get_template("page.html.jinja").render(
        _fill_page(scorecard, list(figures)),
        stages=stages_to_rows(stages),
        alarms=alarms,
        **_fill_calibration(calibration, scorecard),
    )
    write_bytes(path, page.encode())


def _fill_page(card: Scorecard, figures: list[tuple[str, str, str]]) -> dict[str, Any]:
    standings = card.standings()
    records = card.by_pair
    claims = [
        _group_claim(claim, [r for r in card.records if r.claim == claim]) for claim in card.claims
    ]
    verdicts = [str(r.verdict) for r in card.records] + [MISSING] * len(card.missing)
    return {
        "title": "Scorecard of " + _list_names(card.subjects),
        "summary": _summarize(card, verdicts),
        "card": card,
        "run": card.run,
        "asked": describe_asked(card.run.subjects),
        "records": records,
        "standings": standings,
        "parts": [(name, list(group)) for name, group in groupby(claims, lambda c: section(c.id))],
        "scores": [(s, *_count_supported(card, s)) for s in card.subjects],
        "counts": list(count_verdicts(verdicts).items()),
        "changes": [
            (r, standings[r.claim, r.subject])
            for r in card.records
            if standings[r.claim, r.subject].change not in ("", "same")
        ],
        "plots": forest.lay_out_plots(card.records),
        "axis": (forest.WIDTH, forest.LEFT, forest.RIGHT),
        "figures": figures,
        "deviations": deviations.table(card),
        "explains": deviations.WORDS,
        "facts": [
            (name.replace("_", " "), "not recorded" if value is None else value)
            for name, value in describe_run(card.run).items()
        ],
        "limits": LIMITS,
        "words": WORDS,
        "meanings": MEANINGS,
        "number": number,
        "measured": measured,
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


def _group_claim(claim: str, records: list[Record]) -> ClaimRows:
    said: dict[tuple[str, str], list[str]] = {}
    for record in records:
        said.setdefault((limit(record), record.threshold_origin), []).append(record.subject)
    thresholds = [(*key, subjects if len(said) > 1 else []) for key, subjects in said.items()]
    statement = records[0].statement if records else claim
    return ClaimRows(claim, statement, records, thresholds)


def _count_supported(card: Scorecard, subject: str) -> tuple[int, int]:
    """How many claims are supported on a subject, and how many were asked."""
    asked = [r.verdict for r in card.records if r.subject == subject]
    lost = sum(s == subject for _, s in card.missing)
    return asked.count(Verdict.supported), len(asked) + lost


def _summarize(card: Scorecard, verdicts: list[str]) -> str:
    told = ", ".join(
        f"{count} {WORDS[verdict]}" for verdict, count in count_verdicts(verdicts).items()
    )
    claims, subjects = (
        spell_count(len(card.claims), "claim"),
        spell_count(len(card.subjects), "subject"),
    )
    return f"{claims} judged on {subjects}: {told or 'no verdicts'}."


def _list_names(names: tuple[str, ...]) -> str:
    if len(names) > 3:
        return f"{len(names)} subjects"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:]))) or "no subjects"
