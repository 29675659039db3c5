"""A comparison as text for a terminal, as Markdown for a job's summary, as JSON for other programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from harness.reporting.compare import RED, Comparison, Fate, Row
from harness.reporting.wording import WORDS, measured, number, one_line

MEANINGS = {
    Fate.regressed: "lost, or surely weaker by more than the margin",
    Fate.missing: "no verdict in this run",
    Fate.new: "no verdict in the baseline",
    Fate.improved: "supported now, or surely stronger by more than the margin",
    Fate.unchanged: "no such change within what the trials could show",
}


def render(comparison: Comparison, width: int = 100) -> list[str]:
    """Lines: what makes it red first, each claim with its paired difference; then the rest, in short."""
    lines = [_title(comparison), ""]
    for fate in Fate:
        rows = comparison.of(fate)
        if rows:
            lines.append(f"{len(rows):4d} {fate:10} {MEANINGS[fate]}")
    for fate in (*RED, Fate.improved):
        for row in comparison.of(fate):
            head = one_line(f"{fate.upper() if fate in RED else fate}  {row.claim}  {row.subject}")
            lines += ["", *_wrap(head, width)]
            lines += _wrap(one_line(row.reason), width, "    ")
            lines += [line for told in _told(row) for line in _wrap(told, width, "    ")]
    least = [r for r in comparison.of(Fate.unchanged) if r.difference is not None]
    if least:
        lines += ["", "Unchanged, with the smallest change that would have been found:"]
        lines += [line for row in least for line in _wrap(_brief(row), width, "  ")]
    for row in comparison.of(Fate.unchanged):
        # What was not compared must not pass for what was.
        if row.reason:
            lines += ["", *_wrap(one_line(f"{row.claim} {row.subject}: {row.reason}"), width)]
    lines += ["", *(line for note in comparison.notes for line in _wrap(f"Note: {note}.", width))]
    lines += _wrap(_method(comparison), width)
    lines.append("RED: this must not be released as it is" if comparison.red else "GREEN")
    return lines


def markdown(comparison: Comparison) -> str:
    """The same as a table, for example for a workflow's job summary."""
    mark = "❌" if comparison.red else "✅"
    rows = [
        "| fate | claim | subject | before | after | change | detectable |",
        "|---|---|---|---|---|---|---|",
    ]
    for fate in Fate:
        for row in comparison.of(fate):
            before, after = (_cell(r) for r in (row.before, row.after))
            change = _change(row) if row.difference is not None else _escaped(row.reason)
            least = "" if row.difference is None else number(row.detectable)
            cells = (fate, row.claim, row.subject, before, after, change, least)
            rows.append("| " + " | ".join(map(str, cells)) + " |")
    parts = [f"## {mark} {_escaped(_title(comparison))}", "\n".join(rows)]
    parts += [f"- {_escaped(note)}" for note in comparison.notes]
    return "\n\n".join([*parts, _escaped(_method(comparison))]) + "\n"


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Plain values: `red`, `rows`, `notes`, `margin` (the share), `before` and `after` (the files)."""
    return {
        "red": comparison.red,
        "before": comparison.before.where,
        "after": comparison.after.where,
        "margin": comparison.share,
        "notes": list(comparison.notes),
        "rows": [_row(row) for row in comparison.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    found = row.difference
    low, high = found.interval(0.95) if found else (None, None)
    return {
        "claim": row.claim,
        "subject": row.subject,
        "fate": str(row.fate),
        "reason": row.reason,
        "before": str(row.before.verdict) if row.before else None,
        "after": str(row.after.verdict) if row.after else None,
        "difference": found.value if found else None,
        "ci_low": low,
        "ci_high": high,
        "unit": (row.after or row.before).unit,
        "method": found.method if found else "",
        "margin": row.margin if row.margin > 0 else None,
        "p_adjusted": row.p,
        "p_mcnemar": row.exact,
        "detectable": row.detectable,
        "trials_for_margin": row.trials,
    }


def _title(comparison: Comparison) -> str:
    counts = ", ".join(
        f"{len(comparison.of(f))} {f}" for f in Fate if comparison.of(f) or f is Fate.regressed
    )
    return f"{comparison.after.where} against {comparison.before.where}: {counts}"


def _told(row: Row) -> Iterator[str]:
    if row.before and row.after:
        yield f"before {measured(row.before)}, after {measured(row.after)} {row.after.unit}"
    if row.difference is not None:
        yield f"change {_change(row)} ({row.difference.method}, {row.difference.n} trials)"


def _change(row: Row) -> str:
    low, high = row.difference.interval(0.95)
    text = f"{row.difference.value:+.3g} [{low:+.3g}, {high:+.3g}]"
    return text if row.exact is None else f"{text}, McNemar p {row.exact:.2g}"


def _brief(row: Row) -> str:
    text = (
        f"{row.claim} {row.subject}: {WORDS[row.after.verdict]}, {_change(row)}, "
        f"detectable {number(row.detectable)} {row.after.unit}"
    )
    if row.margin > 0 and row.detectable > row.margin and row.trials:
        text += f" ({number(row.margin)} counts as a loss, and needs {row.trials} trials)"
    return one_line(text)


def _method(comparison: Comparison) -> str:
    return (
        f"A loss counts if it is surely more than {comparison.share:.0%} of what lay between the baseline's "
        "estimate and the threshold, or if a supported claim is not so any more; one-sided p at most 0.025, "
        "adjusted (Benjamini and Hochberg) over the claims of a subject. Detectable: found four times in five."
    )


def _cell(record) -> str:
    return "" if record is None else f"{WORDS[record.verdict]} {_escaped(measured(record))}"


def _escaped(text: str) -> str:
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
