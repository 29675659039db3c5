"""Write a scorecard as Markdown: the summary of a job, or one comment on a pull request.

The first line is a marker that no reader sees. By it whoever posts the comment finds the one to edit, so that a
pull request has one and not one for each push.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.judging.verdict import Outcome, Standing, Verdict
from harness.reporting import badge
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import (
    MISSING,
    WORDS,
    count_verdicts,
    limit,
    measured,
    section,
    shorten,
    spell_count,
    tell_partial,
)

MARKER = "<!-- binding-claims: scorecard -->"
"""First line of every summary."""

LONGEST = 60_000
"""Most characters of a summary: GitHub takes 65,536 in a comment."""

LONGEST_CELL = 400
"""Most characters of a reason; the whole of it stands in the scorecard."""

_SPECIAL = re.compile(r"[^A-Za-z0-9 ,;/%=.()'?+\u00a0-\U0010ffff-]|(?<=www)\.", re.IGNORECASE)
"""Characters that may mean something in Markdown, in HTML, or to a server that links names and addresses."""

_SIGNS = {
    Verdict.supported: "✓",
    Verdict.refuted: "✗",
    Verdict.inconclusive: "?",
    Verdict.not_applicable: "–",
    Verdict.blocked: "■",
    Verdict.not_run: "…",
    Verdict.error: "⚠",
}


def write(card: Scorecard, where: str = "") -> str:
    """Write the summary of a scorecard, of at most `LONGEST` characters.

    What fails the run stands first, then what else differs from the baseline, then the counts of each
    section. What has no room is counted.

    Args:
        card: The scorecard.
        where: Where the whole scorecard is, in words or as an address; "" if that is known.
    """
    standings = card.standings()
    parts = [*_begin(card, where), *_tell_subjects(card)]
    sections = _tell_sections(card)
    room = LONGEST - sum(len(line) + 1 for line in (*parts, *sections)) - 200
    if room < 0:
        # So many sections or subjects, or names so long, that even their counts have no room.
        parts, sections, room = parts[: len(_begin(card, where))], [], LONGEST - 4_000
    return "\n".join([*parts, *_tell_found(card, standings, room), *sections])[:LONGEST] + "\n"


def escape(text: str) -> str:
    """Text on one line that Markdown, HTML and a server's links leave as it is: no tag, table, name or address.

    It is code, since servers look for names (`@somebody`) and addresses in everything else.
    """
    line = shorten(text, LONGEST_CELL)
    return f"<code>{_SPECIAL.sub(lambda found: f'&#{ord(found[0])};', line)}</code>"


def _begin(card: Scorecard, where: str) -> list[str]:
    outcomes = [standing.outcome for standing in card.standings().values()]
    failed = sum(outcome in (Outcome.failed, Outcome.error) for outcome in outcomes)
    told = [f"{spell_count(failed, 'verdict')} of {len(outcomes)} fail the run"] if failed else []
    told += [f"{spell_count(len(card.missing), 'verdict')} missing"] if card.missing else []
    told += [escape(tell_partial(card.run))] if card.run.partial else []
    color = "RED" if card.red else "GREEN"
    run = card.run
    facts = f"harness {run.harness}, {run.device or 'no device'}, seed {run.seed}, claims {run.claims_hash[:8]}"
    lines = [MARKER, f"### Binding claims: {color}", "", ". ".join([*told, escape(facts)])]
    return [*lines, *(["", f"All verdicts: {where}"] if where else []), ""]


def _tell_subjects(card: Scorecard) -> Iterator[str]:
    yield from ("| subject | supported of asked | all verdicts |", "|---|---|---|")
    for subject in card.subjects:
        verdicts = [str(r.verdict) for r in card.records if r.subject == subject]
        verdicts += [MISSING for _, name in card.missing if name == subject]
        counted = ", ".join(f"{n} {WORDS[v]}" for v, n in count_verdicts(verdicts).items())
        yield f"| {escape(subject)} | {badge.describe(card, subject)} | {counted} |"
    yield ""


def _tell_sections(card: Scorecard) -> list[str]:
    title = f"<details><summary>{spell_count(len(card.claims), 'claim')} by section</summary>"
    lines = [title, "", "| section | verdicts |", "|---|---|"]
    for name, claims in groupby(card.claims, section):
        chosen = set(claims)
        verdicts = [str(r.verdict) for r in card.records if r.claim in chosen]
        counted = ", ".join(f"{n} {WORDS[v]}" for v, n in count_verdicts(verdicts).items())
        lines.append(f"| {escape(name)} | {counted or MISSING} |")
    return [*lines, "", "</details>"]


def _tell_found(card: Scorecard, standings: Mapping[Pair, Standing], room: int) -> Iterator[str]:
    """Tables of what fails the run, and of what else differs from the baseline, as far as they have room."""
    red: list[Record] = []
    other: list[Record] = []
    for record in card.records:
        standing = standings[record.claim, record.subject]
        if standing.outcome in (Outcome.failed, Outcome.error):
            red.append(record)
        elif standing.change not in ("", "same"):
            other.append(record)
    rows = [
        f"| MISSING | {escape(claim)} | {escape(subject)} | no verdict came back |"
        for claim, subject in card.missing
    ]
    for title, found, first in (
        ("Fails the run", red, rows),
        ("Differs from the baseline", other, []),
    ):
        lines = [*first, *(_tell_row(r) for r in found)]
        if not lines:
            continue
        yield from (f"**{title}**", "", "| verdict | claim | subject | why |", "|---|---|---|---|")
        for number, line in enumerate(lines):
            room -= len(line) + 1
            if room < 0:
                yield f"\n{len(lines) - number} more of these stand in the scorecard alone."
                break
            yield line
        yield ""


def _tell_row(record: Record) -> str:
    was = f" (was {WORDS[Verdict(record.baseline)]})" if record.baseline else ""
    numbers = f"{measured(record)} {record.unit}"
    said = record.reason
    if record.estimate is not None and numbers not in said:
        said = f"{numbers}, claimed {limit(record)}; {said}"
    return (
        f"| {_SIGNS[record.verdict]} {WORDS[record.verdict]}{was} | {escape(record.claim)} | "
        f"{escape(record.subject)} | {escape(said)} |"
    )
