"""Print a scorecard as text: a table of verdicts, what they mean, and what differs from the baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.reporting.findings import tell_briefly, tell_findings
from harness.reporting.scorecard import Scorecard
from harness.reporting.sealed import tell_seal
from harness.reporting.table import Paint, choose_shape, counts, legend, sections, table
from harness.reporting.wording import MISSING, clip, spell_count, tell_partial, wrap_lines
from harness.statistics.looks import AUTO


def render(
    scorecard: Scorecard,
    baseline: Mapping[Pair, Record] | None = None,
    width: int = 100,
    paint: Paint = lambda text, role: text,
    *,
    brief: bool = False,
    quiet: bool = False,
    told: Collection[Pair] = (),
) -> list[str]:
    """The scorecard as lines to print.

    Verdicts are compared with the baseline verdict that each record carries; `baseline` adds the earlier
    numbers, and the names of claims that the baseline has and this run did not collect.

    Args:
        scorecard: What to show.
        baseline: Earlier records by (claim, subject), under this run's names of subjects.
        width: Columns of the terminal; tables of more subjects than fit are split.
        paint: Colors text without changing its width; no color by default.
        brief: Print counts, a line for each section and a few verdicts instead of the table; what fails the run
            is told in full.
        quiet: Of a brief text, leave out all but the counts and what differs or fails the run.
        told: Claims and subjects whose failures were printed before; a brief text repeats only those that
            differ from a baseline.

    Returns:
        Lines without line breaks at their ends.
    """
    width = max(width, 48)
    standings = scorecard.standings()
    shape = choose_shape(scorecard, width)
    lines = [paint(line, "title") for line in wrap_lines(_tell_title(scorecard), width)]
    if brief:
        lines += ["", *counts(scorecard, width, paint)]
        if not quiet:
            lines += ["", *sections(scorecard, standings, width, paint)]
        before = baseline or {}
        lines += tell_briefly(scorecard, standings, before, width, paint, told, quiet=quiet)
        lines += _tell_absent(scorecard, baseline or {}, width, paint)
        return lines
    for start in range(0, len(scorecard.subjects), shape.fit):
        subjects = scorecard.subjects[start : start + shape.fit]
        lines += ["", *table(scorecard, standings, subjects, shape, paint)]
    lines += ["", *legend(scorecard, standings, shape.words, width, paint)]
    lines += tell_findings(scorecard, standings, baseline or {}, width, paint)
    lines += ["", *(paint(line, "quiet") for line in wrap_lines(_tell_method(scorecard), width))]
    lines += _tell_absent(scorecard, baseline or {}, width, paint)
    return lines


def _tell_title(card: Scorecard) -> str:
    run = card.run
    where = ", ".join(fact for fact in (run.device, run.dtype) if fact) or "no device"
    judged = spell_count(len(card.records), "verdict")
    claims, subjects = (
        spell_count(len(card.claims), "claim"),
        spell_count(len(card.subjects), "subject"),
    )
    partial, sealed = f"{tell_partial(run)}: " if run.partial else "", tell_seal(run)
    return clip(
        f"{partial}{judged} on {claims} and {subjects}; harness {run.harness}, {where}, "
        f"seed {run.seed}, claims {run.claims_hash[:8]}{f', {sealed}' if sealed else ''}"
    )


def _tell_method(card: Scorecard) -> str:
    methods = dict.fromkeys(r.method for r in card.records if r.method not in ("", "none"))
    made = f" ({'; '.join(methods)})" if methods else ""
    looks = ", at early looks 99.6 or 99.4%" if card.run.trials == AUTO else ""
    return clip(f"Intervals: 95%{looks}, clustered by scene{made}. {card.correction}")


def _tell_absent(
    card: Scorecard, baseline: Mapping[Pair, Record], width: int, paint: Paint
) -> Iterator[str]:
    judged = {*card.by_pair, *card.missing}
    for subject in card.subjects:
        unasked = [c for c, name in baseline if name == subject and (c, name) not in judged]
        if unasked:
            # A run of a few chosen claims leaves out so many that naming them would not help.
            names = f": {', '.join(unasked)}" if len(unasked) <= 3 else ""
            told = f"{spell_count(len(unasked), 'claim')}{names}"
            told = clip(f"In the baseline of {subject} but not in this run: {told}")
            yield from wrap_lines(told, width)
    if card.missing:
        yield ""
        title = f"MISSING: {spell_count(len(card.missing), 'claim')} collected without a verdict"
        yield paint(title, MISSING)
        for claim, subject in card.missing:
            lines = wrap_lines(clip(f"{subject}  {claim}"), width, "  ")
            yield from (paint(line, MISSING) for line in lines)
