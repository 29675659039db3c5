"""Show a comparison: as text for a terminal, as Markdown for a job's summary, as JSON for other programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TypedDict

from harness.judging.record import Record
from harness.reporting.alarms import read_alarms, summarize_alarms
from harness.reporting.fates import RED, Comparison, Fate, Row, RowWithDifference
from harness.reporting.moved_text import (
    StageFacts,
    render_stages,
    stages_markdown,
    stages_to_json,
    tell_moved,
)
from harness.reporting.wording import WORDS, measured, number, one_line, spell_count

MEANINGS = {
    Fate.regressed: "lost, or surely weaker by more than the margin",
    Fate.missing: "no verdict in this run",
    Fate.new: "no verdict in the baseline",
    Fate.accepted: "lost, and accepted by name with a reason: this stops no release",
    Fate.improved: "supported now, or surely stronger by more than the margin",
    Fate.unchanged: "no such change within what the trials could show",
}

LOUD = (*RED, Fate.accepted)
"""What became of claims that must be seen: they are lost, accepted, or nobody knows of them."""


class RowFacts(TypedDict):
    """A row of a comparison as plain values; see `harness.reporting.compare.Row`. Numbers are in `unit`."""

    claim: str
    subject: str
    fate: str
    reason: str
    accepted: str | None
    before: str | None
    after: str | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    unit: str | None
    method: str
    margin: float | None
    floor: float | None
    p_adjusted: float | None
    p_mcnemar: float | None
    detectable: float | None
    trials_for_margin: int | None


class ComparisonFacts(TypedDict):
    """A comparison as plain values; `before` and `after` name the files, `margin` is the share.

    `partial` says why not all claims were asked ("" if they were), `own` whether that was allowed by name,
    `strict` whether a stage that other heads carry is red. `alarms` says how often the gate is wrong, `floor`
    which noise floor its margins have.
    """

    red: bool
    partial: str
    own: bool
    before: str
    after: str
    margin: float
    alarms: str
    floor: str
    notes: list[str]
    rows: list[RowFacts]
    strict: bool
    stages: list[StageFacts]


def render(comparison: Comparison, width: int = 100, *, each: bool = False) -> list[str]:
    """The comparison as lines of text: first the claims that make it red, in full, then the others, in short.

    Args:
        comparison: What to show.
        width: Columns of the terminal.
        each: Whether to show every head of every stage, also where none has come or gone.
    """
    lines = [_title(comparison), ""]
    for fate in Fate:
        rows = comparison.of(fate)
        if rows:
            lines.append(f"{len(rows):4d} {fate:10} {MEANINGS[fate]}")
    for fate in (*LOUD, Fate.improved):
        for row in comparison.of(fate):
            loud = fate.upper() if fate in LOUD else fate
            head = one_line(f"{loud}  {row.claim}  {row.subject}")
            lines += ["", *_wrap(head, width)]
            lines += _wrap(one_line(row.told), width, "    ")
            lines += [line for told in _tell_numbers(row) for line in _wrap(told, width, "    ")]
    least = [r for r in comparison.of(Fate.unchanged) if isinstance(r, RowWithDifference)]
    if least:
        lines += ["", "Unchanged, with the smallest change that would have been found:"]
        lines += [line for r in least for line in _wrap(_tell_briefly(r), width, "  ")]
    for row in comparison.of(Fate.unchanged):
        # A claim that was not compared must not look like one that did not change.
        if row.reason:
            lines += ["", *_wrap(one_line(f"{row.claim} {row.subject}: {row.reason}"), width)]
    for told in render_stages(comparison.stages, each=each):
        lines += _wrap(told.lstrip(), width, " " * (len(told) - len(told.lstrip()))) or [""]
    lines += ["", *(line for note in comparison.notes for line in _wrap(f"Note: {note}.", width))]
    for told in (tell_method(comparison), tell_floor(comparison), _tell_alarms(comparison)):
        lines += _wrap(told, width)
    return [*lines, *_wrap(tell_end(comparison), width)]


def markdown(comparison: Comparison) -> str:
    """The comparison as Markdown, for example for a workflow's job summary; what is unchanged is folded."""
    mark = "❌" if comparison.red else "✅"
    shown = [row for fate in Fate if fate is not Fate.unchanged for row in comparison.of(fate)]
    # A claim that was not compared must not look like one that did not change.
    shown += [row for row in comparison.of(Fate.unchanged) if row.reason]
    folded = [row for row in comparison.of(Fate.unchanged) if not row.reason]
    parts = [f"## {mark} {_escape(_title(comparison))}"]
    parts += [_make_table(shown)] if shown else []
    if folded:
        parts += [f"<details><summary>{len(folded)} unchanged</summary>", _make_table(folded)]
        parts.append("</details>")
    if comparison.partial:
        parts.insert(1, _escape(tell_end(comparison)))
    if stages := stages_markdown(comparison.stages):
        parts.append(stages)
    if (comparison.moved or comparison.of(Fate.accepted)) and not comparison.partial:
        parts.insert(1, _escape(tell_end(comparison)))
    parts += [f"- {_escape(note)}" for note in comparison.notes]
    parts += map(
        _escape, (tell_method(comparison), tell_floor(comparison), _tell_alarms(comparison))
    )
    return "\n\n".join(parts) + "\n"


def _make_table(rows: Sequence[Row]) -> str:
    lines = [
        "| fate | claim | subject | before | after | change | detectable |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        before, after = (_cell(r) for r in (row.before, row.after))
        change, least = _escape(row.told), ""
        if isinstance(row, RowWithDifference):
            told = f"{change}: " if row.fate is Fate.accepted else ""
            change, least = f"{told}{_tell_change(row)}", number(row.detectable)
        cells = (row.fate, row.claim, row.subject, before, after, change, least)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def to_json(comparison: Comparison) -> ComparisonFacts:
    """The comparison as plain values."""
    return {
        "red": comparison.red,
        "partial": comparison.partial,
        "own": comparison.own,
        "before": comparison.before.where,
        "after": comparison.after.where,
        "margin": comparison.share,
        "alarms": _tell_alarms(comparison),
        "floor": tell_floor(comparison),
        "notes": list(comparison.notes),
        "rows": [_row_to_json(row) for row in comparison.rows],
        "strict": comparison.strict,
        "stages": stages_to_json(comparison.stages),
    }


class RefusalFacts(TypedDict):
    """Two runs that could not be compared as plain values: `refusal` says why."""

    red: bool
    refusal: str
    before: str
    after: str


def refusal_to_json(refusal: str, before: str, after: str) -> RefusalFacts:
    """A comparison that was refused as plain values; it is red, since nothing shows that all is well."""
    return {"red": True, "refusal": refusal, "before": before, "after": after}


def refusal_markdown(refusal: str, before: str, after: str) -> str:
    """A comparison that was refused as Markdown, for the place where the table would be."""
    return (
        f"## ❌ {_escape(after)} cannot be compared with {_escape(before)}\n\n{_escape(refusal)}\n"
    )


def _row_to_json(row: Row) -> RowFacts:
    found, record = row.difference, row.after or row.before
    low, high = found.interval(0.95) if found else (None, None)
    moved = row if isinstance(row, RowWithDifference) else None
    return {
        "claim": row.claim,
        "subject": row.subject,
        "fate": str(row.fate),
        "reason": row.reason,
        "accepted": row.accepted or None,
        "before": str(row.before.verdict) if row.before else None,
        "after": str(row.after.verdict) if row.after else None,
        "difference": found.value if found else None,
        "ci_low": low,
        "ci_high": high,
        "unit": record.unit if record else None,
        "method": found.method if found else "",
        "margin": row.margin if row.margin > 0 else None,
        "floor": row.floor or None,
        "p_adjusted": row.p,
        "p_mcnemar": row.exact,
        "detectable": moved.detectable if moved else None,
        "trials_for_margin": moved.trials if moved else None,
    }


def _title(comparison: Comparison) -> str:
    counts = ", ".join(
        f"{len(comparison.of(f))} {f}" for f in Fate if comparison.of(f) or f is Fate.regressed
    )
    return f"{comparison.after.where} against {comparison.before.where}: {counts}"


def tell_end(comparison: Comparison) -> str:
    """The last line: whether the run may be released, as far as it was asked, and what was accepted."""
    accepted = ", ".join(dict.fromkeys(row.claim for row in comparison.of(Fate.accepted)))
    return _decide_end(comparison) + (f". ACCEPTED, though lost: {accepted}" if accepted else "")


def _decide_end(comparison: Comparison) -> str:
    partial, moved = comparison.partial, tell_moved(comparison.moved)
    if comparison.lost:
        why = ", ".join(f"{len(rows)} {fate}" for fate in RED if (rows := comparison.of(fate)))
        also = "".join(f". Also: {told}" for told in (partial, moved) if told)
        return f"RED, {why}: this must not be released as it is{also}"
    if partial and not comparison.own:
        return (
            f"RED: {partial}, and what was not asked may be lost: judge all claims, or say --partial to let "
            "these alone pass"
        )
    if moved and comparison.strict:
        return f"RED, as --strict-heads asks: {moved}"
    warned = f". WARNING: {moved}; --strict-heads makes that red" if moved else ""
    if not partial:
        return f"GREEN{warned}"
    return f"GREEN, for {spell_count(len(comparison.rows), 'claim')} only: {partial}{warned}"


def _tell_numbers(row: Row) -> Iterator[str]:
    if row.before and row.after:
        yield f"before {measured(row.before)}, after {measured(row.after)} {row.after.unit}"
    if isinstance(row, RowWithDifference):
        yield f"change {_tell_change(row)} ({row.difference.method}, {row.difference.n} trials)"


def _tell_change(row: RowWithDifference) -> str:
    low, high = row.difference.interval(0.95)
    text = f"{row.difference.value:+.3g} [{low:+.3g}, {high:+.3g}]"
    return text if row.exact is None else f"{text}, McNemar p {row.exact:.2g}"


def _tell_briefly(row: RowWithDifference) -> str:
    text = (
        f"{row.claim} {row.subject}: {WORDS[row.after.verdict]}, {_tell_change(row)}, "
        f"detectable {number(row.detectable)} {row.after.unit}"
    )
    if row.margin > 0 and row.detectable > row.margin and row.trials:
        text += f" ({number(row.margin)} counts as a loss, and needs {row.trials} trials)"
    return one_line(text)


def tell_method(comparison: Comparison) -> str:
    """What counts as a loss, in two sentences."""
    return (
        f"A loss counts if it is surely more than {comparison.share:.0%} of what lay between the baseline's "
        "estimate and the threshold, or if a supported claim is not so any more; one-sided p at most 0.025, "
        "adjusted (Benjamini and Hochberg) over the claims of a subject. Detectable: found four times in five."
    )


def tell_floor(comparison: Comparison) -> str:
    """Which noise floor the margins of a comparison have, in a sentence or two."""
    floor = comparison.before.floor
    if floor is None:
        return (
            "Noise floor: not measured for the baseline; `claims floor SUBJECT --out DIR` does, with DIR the "
            "baseline's folder."
        )
    raised = ", ".join(row.claim for row in comparison.floored)
    known = sum(row.floor > 0 for row in comparison.rows)
    ways = ", ".join(floor["noise"])
    told = (
        f"Noise floor: {floor['subject']} run again ({ways}) moves {known} of "
        f"{spell_count(len(comparison.rows), 'claim')} on the same scenes, and no margin is below that; "
    )
    return told + (f"it is the margin of {raised}." if raised else "all margins are wider.")


def _tell_alarms(comparison: Comparison) -> str:
    records = [row.after or row.before for row in comparison.rows]
    return summarize_alarms(read_alarms(), [r for r in records if r is not None])


def _cell(record: Record | None) -> str:
    return "" if record is None else f"{WORDS[record.verdict]} {_escape(measured(record))}"


def _escape(text: str) -> str:
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
